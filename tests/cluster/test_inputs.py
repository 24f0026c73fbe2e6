"""Inputs travel to a node once, in chunks, and only if it does not have them."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from tests.support.cluster.batches import Batch, numbers
from tests.support.cluster.cluster import Cluster

MIB = 1 << 20
ECHO = """#!/bin/sh
cat /inputs/data
echo 6 > /outputs/bytes
echo $(($(cat /inputs/number) * 2)) > /outputs/double
"""


def write_random(path: Path, size: int) -> None:
    """Write a file whose chunks differ and cannot be compressed."""
    with path.open("wb") as stream:
        for _ in range(size // (16 * MIB)):
            stream.write(os.urandom(16 * MIB))


def peak_memory(pid: int) -> int:
    """Return the most memory that a process had so far, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def test_a_gibibyte_is_sent_once_to_each_node_with_little_memory(cluster: Cluster, tmp_path: Path) -> None:
    # Given an input of 1 GiB that only the client has
    write_random(tmp_path / "large", 1024 * MIB)
    before = [node.received() for node in cluster.nodes]
    assert cluster.scheduler is not None
    processes = [psutil.Process(cluster.scheduler.pid)]
    processes += [process for node in cluster.nodes for process in node.worker_processes()]

    # When more rows use it than one node runs at a time
    batch = Batch(tmp_path, numbers(24, seconds=2))
    command = batch.start(cluster, "-i", "data=@large")
    client = 0
    batch.wait_for_results(16, command)
    while command.is_running:
        try:
            client = max(client, peak_memory(command.process.pid))
        except (AssertionError, FileNotFoundError):
            break
    assert command.wait() == 0, command.printed

    # Then all of them have read it
    results = batch.check()
    assert {each["bytes"] for each in results} == {str(1024 * MIB)}
    assert {each["node"] for each in results} == {"node1", "node2"}

    # And it has travelled once to each node
    received = [node.received() - start for node, start in zip(cluster.nodes, before, strict=True)]
    assert all(1024 * MIB <= each < 1.2 * 1024 * MIB for each in received), received

    # And no process has held it in memory
    peaks = {process.pid: peak_memory(process.pid) for process in processes}
    assert client
    assert max(client, *peaks.values()) < 512 * MIB, (client, peaks)


def test_an_input_on_a_shared_file_system_is_not_sent(cluster: Cluster, tmp_path: Path) -> None:
    # Given an input at a path that the nodes have, too
    shared = cluster.shared / "input"
    write_random(shared, 64 * MIB)
    before = [node.received() for node in cluster.nodes]

    # When rows use it
    batch = Batch(tmp_path, numbers(8, seconds=1))
    batch.run(cluster, "-i", f"data=@{shared}")

    # Then they have read it, and it was not sent
    assert {each["bytes"] for each in batch.check()} == {str(64 * MIB)}
    received = [node.received() - start for node, start in zip(cluster.nodes, before, strict=True)]
    assert max(received) < 16 * MIB, received


def test_another_file_at_the_same_path_of_a_node_is_not_used(cluster: Cluster, tmp_path: Path) -> None:
    # Given files of the same path and size with another content on the nodes
    (tmp_path / "data").write_text("client")
    for node in cluster.nodes:
        node.run("sh", "-c", f"mkdir -p {tmp_path} && printf other! >{tmp_path}/data")

    # When rows run, then they read that of the client
    batch = Batch(tmp_path, numbers(4), program=ECHO)
    batch.run(cluster, "-i", "data=@data")
    for result in batch.check():
        log = batch.localrun(cluster, "logs", result["task"])
        assert log.wait() == 0
        assert "client" in log.printed
        assert "other!" not in log.printed


def test_a_mounted_path_has_to_exist_on_each_node(cluster: Cluster, tmp_path: Path) -> None:
    # Given a path of the client and of one node
    (tmp_path / "model").write_text("client")
    first, second = cluster.nodes
    first.run("sh", "-c", f"mkdir -p {tmp_path} && printf node >{tmp_path}/model")
    mount = ("--mount", f"{tmp_path}/model:/model")

    # When a batch mounts it, then no row runs, and the other node is named
    batch = Batch(tmp_path, numbers(4), program="#!/bin/sh\ncat /model\n" + ECHO.partition("\n")[2])
    (tmp_path / "data").write_text("data")
    command = batch.start(cluster, "-i", "data=@data", *mount)
    assert command.wait() not in (0, 1, 10), command.printed
    assert "1 of 2 workers" in command.printed
    assert f"worker {second.name} (" in command.printed
    assert f"no such file or folder to mount: {tmp_path}/model" in command.printed
    assert batch.results() == []

    # When that has it, too, then the rows see the file of their node
    second.run("sh", "-c", f"mkdir -p {tmp_path} && printf node >{tmp_path}/model")
    batch.run(cluster, "-i", "data=@data", *mount)
    for result in batch.check():
        log = batch.localrun(cluster, "logs", result["task"])
        assert log.wait() == 0
        assert "nodedata" in log.printed
