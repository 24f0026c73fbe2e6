"""Workers, schedulers and disks fail while rows run: each row still has one result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster.batches import Batch, numbers, wait_for_containers, wait_for_no_containers
from tests.support.cluster.cluster import Cluster

SECRET = "mellon-4711"
PRELOAD = ("--preload", "localrun.batch.cluster.worker")


def test_rows_of_a_killed_worker_run_again_and_its_nanny_starts_another(
    own_cluster: Cluster, tmp_path: Path
) -> None:
    # Given rows with a secret value that run on both nodes
    batch = Batch(tmp_path, numbers(60, seconds=2, note=SECRET))
    command = batch.start(own_cluster)
    wait_for_containers(own_cluster)

    # When the worker of a node is killed
    (process,) = own_cluster.nodes[0].worker_processes()
    process.kill()

    # Then each row has one result, and no container remains
    assert command.wait() == 0, command.printed
    batch.check()
    wait_for_no_containers(own_cluster)

    # And Dask has not logged the value
    assert [path for path in own_cluster.log_files() if SECRET in path.read_text(errors="replace")] == []


def test_rows_of_a_crashed_worker_run_elsewhere_and_it_removes_its_containers_when_it_returns(
    own_cluster: Cluster, tmp_path: Path
) -> None:
    # Given rows that run on both nodes
    batch = Batch(tmp_path, numbers(40, seconds=2))
    command = batch.start(own_cluster)
    wait_for_containers(own_cluster)

    # When a worker and its nanny are killed, and only the container of a long row would still run
    first, second = own_cluster.nodes
    assert first.worker is not None
    first.worker.kill()
    orphans = first.containers()

    # Then the other node runs all rows that remain, and each has one result
    assert command.wait() == 0, command.printed
    results = batch.check()
    assert {each["node"] for each in results[-8:]} == {second.name}
    assert orphans

    # And the containers are gone when the worker has returned
    first.start_worker(own_cluster.address, *PRELOAD).wait_for("Registered to:")
    wait_for_no_containers(own_cluster)


def test_a_batch_waits_for_a_restarted_scheduler(own_cluster: Cluster, tmp_path: Path) -> None:
    # Given rows that run on both nodes
    batch = Batch(tmp_path, numbers(30, seconds=1))
    command = batch.start(own_cluster)
    batch.wait_for_results(2, command)

    # When the scheduler crashes, and is started again as well as the workers, which end without it
    assert own_cluster.scheduler is not None
    own_cluster.scheduler.kill()
    for node in own_cluster.nodes:
        assert node.worker is not None
        node.worker.wait()
    own_cluster.start()

    # Then each row has one result
    assert command.wait() == 0, command.printed
    batch.check()
    wait_for_no_containers(own_cluster)


@pytest.fixture
def disk(nodes: Cluster) -> Iterator[Path]:
    """The small file system on which the worker of the first node keeps its tasks."""
    first, second = nodes.nodes
    with first.small_disk("400m") as disk:
        nodes.start_scheduler()
        workers = [
            first.start_worker(nodes.address, env={"LOCALRUN_HOME": str(disk / "home")}),
            second.start_worker(nodes.address),
        ]
        for worker in workers:
            worker.wait_for("Registered to:")
        yield disk


def fill(nodes: Cluster, disk: Path) -> None:
    """Fill the file system completely."""
    nodes.nodes[0].run("sh", "-c", f"cat /dev/zero >{disk}/filled 2>/dev/null || true")


def test_rows_do_not_run_on_a_node_whose_disk_is_full(nodes: Cluster, disk: Path, tmp_path: Path) -> None:
    fill(nodes, disk)
    batch = Batch(tmp_path, numbers(20))
    batch.run(nodes)
    assert {each["node"] for each in batch.check()} == {"node2"}
    wait_for_no_containers(nodes)


def test_a_disk_that_fills_while_rows_run_costs_no_row(nodes: Cluster, disk: Path, tmp_path: Path) -> None:
    # Given rows that run on both nodes
    batch = Batch(tmp_path, numbers(40, seconds=1))
    command = batch.start(nodes)
    wait_for_containers(nodes)

    # When the disk of one is filled, then rows that fail for this reason run elsewhere
    fill(nodes, disk)
    assert command.wait() == 0, command.printed
    batch.check()
    wait_for_no_containers(nodes)
