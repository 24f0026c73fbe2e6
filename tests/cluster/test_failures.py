"""Workers, schedulers and disks fail while rows run: each row still has one result."""

from __future__ import annotations

from pathlib import Path

from tests.support.cluster.batches import Batch, numbers, wait_for_containers, wait_for_no_containers
from tests.support.cluster.cluster import Cluster

PRELOAD = ("--preload", "localrun.batch.cluster.worker")


def test_rows_of_a_killed_worker_run_again_and_its_nanny_starts_another(
    cluster: Cluster, tmp_path: Path
) -> None:
    # Given rows that run on both nodes
    batch = Batch(tmp_path, numbers(60, seconds=2))
    command = batch.start(cluster)
    wait_for_containers(cluster)

    # When the worker of a node is killed
    (process,) = cluster.nodes[0].worker_processes()
    process.kill()

    # Then each row has one result, and no container remains
    assert command.wait() == 0, command.printed
    batch.check()
    wait_for_no_containers(cluster)


def test_rows_of_a_crashed_worker_run_elsewhere_and_it_removes_its_containers_when_it_returns(
    cluster: Cluster, tmp_path: Path
) -> None:
    # Given rows that run on both nodes
    batch = Batch(tmp_path, numbers(40, seconds=2))
    command = batch.start(cluster)
    wait_for_containers(cluster)

    # When a worker and its nanny are killed, and only the container of a long row would still run
    first, second = cluster.nodes
    assert first.worker is not None
    first.worker.kill()
    orphans = first.containers()

    # Then the other node runs all rows that remain, and each has one result
    assert command.wait() == 0, command.printed
    results = batch.check()
    assert {each["node"] for each in results[-8:]} == {second.name}
    assert orphans

    # And the containers are gone when the worker has returned
    first.start_worker(cluster.address, *PRELOAD).wait_for("Registered to:")
    wait_for_no_containers(cluster)


def test_a_batch_waits_for_a_restarted_scheduler(cluster: Cluster, tmp_path: Path) -> None:
    # Given rows that run on both nodes
    batch = Batch(tmp_path, numbers(30, seconds=1))
    command = batch.start(cluster)
    batch.wait_for_results(2, command)

    # When the scheduler crashes, and is started again as well as the workers, which end without it
    assert cluster.scheduler is not None
    cluster.scheduler.kill()
    for node in cluster.nodes:
        assert node.worker is not None
        node.worker.wait()
    cluster.start()

    # Then each row has one result
    assert command.wait() == 0, command.printed
    batch.check()
    wait_for_no_containers(cluster)


def test_rows_do_not_run_on_a_node_whose_disk_is_full(nodes: Cluster, tmp_path: Path) -> None:
    # Given a node whose file system for tasks is full
    first, second = nodes.nodes
    disk = first.folder / "disk"
    disk.mkdir()
    first.run("mount", "-t", "tmpfs", "-o", "size=48m", "none", str(disk))
    try:
        first.run("sh", "-c", f"head -c 47m /dev/zero >{disk}/filled")
        nodes.start_scheduler()
        workers = [
            first.start_worker(nodes.address, env={"LOCALRUN_HOME": str(disk / "home")}),
            second.start_worker(nodes.address),
        ]
        for worker in workers:
            worker.wait_for("Registered to:")

        # When rows run, then the other node runs them
        batch = Batch(tmp_path, numbers(20))
        batch.run(nodes)
        assert {each["node"] for each in batch.check()} == {second.name}
        wait_for_no_containers(nodes)
    finally:
        nodes.stop()
        first.run("umount", str(disk))


def test_a_disk_that_fills_while_rows_run_costs_no_row(nodes: Cluster, tmp_path: Path) -> None:
    # Given a node with a small file system for tasks, on which rows run
    first, second = nodes.nodes
    disk = first.folder / "disk"
    disk.mkdir(exist_ok=True)
    first.run("mount", "-t", "tmpfs", "-o", "size=400m", "none", str(disk))
    try:
        nodes.start_scheduler()
        workers = [
            first.start_worker(nodes.address, env={"LOCALRUN_HOME": str(disk / "home")}),
            second.start_worker(nodes.address),
        ]
        for worker in workers:
            worker.wait_for("Registered to:")
        batch = Batch(tmp_path, numbers(40, seconds=1))
        command = batch.start(nodes)
        wait_for_containers(nodes)

        # When it is filled completely
        first.run("sh", "-c", f"cat /dev/zero >{disk}/filled 2>/dev/null || true")

        # Then each row has one result, because rows that failed for this reason ran elsewhere
        assert command.wait() == 0, command.printed
        batch.check()
        wait_for_no_containers(nodes)
    finally:
        nodes.stop()
        first.run("umount", str(disk))
