"""Rows run on both nodes, with everything that a task on this machine has."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from pathlib import Path

from localrun.engines.dockerd import DockerEngine
from tests.support.cluster.batches import CONFIG, PROGRAM, Batch, numbers
from tests.support.cluster.cluster import Cluster
from tests.support.images import busybox_layer, image_archive


def test_200_rows_run_on_both_nodes_exactly_once(cluster: Cluster, tmp_path: Path) -> None:
    # When 200 rows run on two nodes
    batch = Batch(tmp_path, numbers(200))
    batch.run(cluster)

    # Then each has one result, with the name of its node, and both nodes have worked
    results = batch.check()
    ran = Counter(each["node"] for each in results)
    assert set(ran) == {"node1", "node2"}
    assert min(ran.values()) >= 40, ran

    # And nothing remains on the nodes
    assert [node.containers() for node in cluster.nodes] == [[], []]


def test_a_row_shows_its_node_log_usage_and_isolation(cluster: Cluster, tmp_path: Path) -> None:
    # Given a batch that ran
    batch = Batch(tmp_path, numbers(8, seconds=1))
    batch.run(cluster)
    results = batch.check()

    # Then the record, `list` and `describe` have the name of the node
    listed = {each["id"]: each for each in batch.json(cluster, "list", "--all")}
    for result in results:
        assert listed[result["task"]]["node"] == result["node"]
        record = json.loads((tmp_path / ".localrun" / "tasks" / result["task"] / "task.json").read_bytes())
        assert record["node"] == result["node"]
    shown = batch.localrun(cluster, "list", "--all")
    assert shown.wait() == 0
    assert all(result["node"] in shown.printed for result in results)

    # And logs, durations and memory are those of the container, which had no network but its own
    for result in results:
        log = batch.localrun(cluster, "logs", result["task"])
        assert log.wait() == 0, log.printed
        assert f"row {result['number']}" in log.printed
        links = [line for line in log.printed.splitlines() if ": " in line and "mtu" in line]
        assert [line.split(": ")[1] for line in links if "UP" in line.split("<")[1].split(">")[0]] == [
            "lo"
        ], links
        assert float(result["duration"]) > 0
        assert int(result["peak_memory"]) > 0


def test_outputs_come_back_from_the_nodes(cluster: Cluster, tmp_path: Path) -> None:
    batch = Batch(tmp_path, numbers(4))
    batch.run(cluster, "-o", "out")
    batch.check()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0001", "0002", "0003", "0004"]
    assert (tmp_path / "out" / "0003" / "double.txt").read_text().strip() == "6"


def test_an_image_that_a_node_does_not_have_is_sent_to_it(
    cluster: Cluster, tmp_path: Path, docker_engine: DockerEngine
) -> None:
    # Given an image that only the engine of the client and one of the nodes have
    name = f"localrun-test/row:{secrets.token_hex(4)}"
    docker_engine.load_image([image_archive(busybox_layer({"bin/run": PROGRAM.encode()}), name, **CONFIG)])
    try:
        cluster.nodes[0].load(name)

        # When rows run it, then all do, on both nodes
        batch = Batch(tmp_path, numbers(24, seconds=1))
        batch.run(cluster, "--image", name, "--pull", "never")
        assert {each["node"] for each in batch.check()} == {"node1", "node2"}
    finally:
        docker_engine.remove_image(name)
