"""The end of the client ends its tasks on the nodes, and `--resume` completes the batch."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path

import psutil
import pytest

from localrun.engines.dockerd import DockerEngine
from tests.support.cluster.batches import PROGRAM, Batch, numbers, wait_for_containers, wait_for_no_containers
from tests.support.cluster.cluster import Cluster, run
from tests.support.cluster.processes import below


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_client_that_ends_leaves_nothing_on_the_nodes_and_resumes(
    number: signal.Signals, cluster: Cluster, tmp_path: Path
) -> None:
    # Given a batch with rows that have ended, and others that run on both nodes
    batch = Batch(tmp_path, numbers(40, seconds=2))
    command = batch.start(cluster)
    batch.wait_for_results(3, command)
    wait_for_containers(cluster)

    # When the client ends by a signal
    command.send(number)
    code = command.wait()
    if number != signal.SIGKILL:
        assert code == 130, command.printed
        assert "--resume" in command.printed
        assert [node.containers() for node in cluster.nodes] == [[], []]
    before = {each["row"]: each for each in batch.results() if each["state"] == "FINISHED"}
    assert 0 < len(before) < 40

    # Then nothing remains on the nodes
    wait_for_no_containers(cluster)

    # And another client completes the batch without repeating what has ended
    batch.run(cluster, "--resume")
    after = {each["row"]: each for each in batch.check()}
    assert {row: after[row] for row in before} == before
    wait_for_no_containers(cluster)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_for_all_processes_of_a_local_cluster_stops_it_without_errors(
    number: signal.Signals, nodes: Cluster, tmp_path: Path, docker_engine: DockerEngine
) -> None:
    # Given a batch that runs on workers which it has started, with an image of its own
    batch = Batch(tmp_path, numbers(20, seconds=2), program=f"{PROGRAM}# {secrets.token_hex(8)}\n")
    command = batch.start(nodes, address="local:2")
    batch.wait_for_results(2, command)

    # When all of its processes get a signal, as from Ctrl+C in a terminal
    for process in (*below(command.pid), psutil.Process(command.pid)):
        process.send_signal(number)

    # Then it stops, says how to continue, and nothing remains
    assert command.wait() == 130, command.printed
    assert "Traceback" not in command.printed
    assert command.printed.rstrip().endswith("--resume")
    homes = run(["docker", "ps", "-a", "--format", '{{.Label "localrun.home"}}']).split()
    assert [home for home in homes if home.startswith(f"{tmp_path}/")] == []

    # And its image is removed
    (record, *_) = batch.json(nodes, "list")
    for name in run(["docker", "inspect", "--format", '{{join .RepoTags " "}}', record["image"]]).split():
        docker_engine.remove_image(name)
