"""Rows on a cluster of nodes with fake engines."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.batch.cluster.connection import ClusterConnection
from localrun.batch.store import BatchStore
from localrun.engines.fake import FakeContainer
from localrun.task.states import TaskState
from tests.batch.cluster.nodes import Nodes
from tests.cli.command import add
from tests.support.waiting import until

PATIENCE = 60.0  # seconds


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    with Nodes(tmp_path).running() as started:
        yield started


def pairs(count: int) -> list[dict[str, int]]:
    return [{"a": number, "b": 1} for number in range(1, count + 1)]


def test_rows_run_on_all_nodes_and_their_tasks_are_here(nodes: Nodes) -> None:
    app = nodes.client()
    results = list(nodes.batch(pairs(12), app=app))
    assert sorted(result.outputs["sum"] for result in results) == list(range(2, 14))
    assert Counter(result.node for result in results).keys() == {"n1", "n2"}
    for result in results:
        workspace, record = app.find(result.task)
        assert (record.node, record.state, record.folder) == (result.node, TaskState.FINISHED, str(workspace))
        assert (workspace.outputs / "sum").read_text().strip() == str(result.outputs["sum"])
        assert record.run_plan.bundle == str(nodes.bundle)


def test_nothing_of_a_fetched_row_remains_on_its_node(nodes: Nodes) -> None:
    list(nodes.batch(pairs(4)))
    assert [path for name in ("n1", "n2") for path in (nodes.folder / name / "tasks").glob("*")] == []
    assert all(engine.find({}) == [] for engine in nodes.engines.values())


def test_the_threads_of_a_worker_are_not_sampled_which_can_lock_up_python(nodes: Nodes) -> None:
    callbacks = nodes.run(
        lambda: [set(worker.periodic_callbacks) for worker in nodes.cluster.workers.values()]
    )
    assert callbacks
    assert all(not {"profile", "profile-cycle"} & names for names in callbacks)


def test_a_batch_that_has_ended_can_be_stopped(nodes: Nodes) -> None:
    batch = nodes.batch(pairs(2))
    assert [result.state for result in batch] == [TaskState.FINISHED] * 2
    batch.stop(0.0)  # as a signal does that arrives at the end


def test_stopping_the_batch_stops_the_rows_on_the_nodes(nodes: Nodes) -> None:
    started = threading.Semaphore(0)

    def wait(container: FakeContainer) -> int:
        started.release()
        assert container.stopped.wait(PATIENCE)
        return 143

    nodes.program = wait
    batch = nodes.batch(pairs(4))

    def stop() -> None:
        started.acquire(timeout=PATIENCE)
        batch.stop(0.0)

    thread = threading.Thread(target=stop)
    thread.start()
    results = list(batch)
    thread.join()
    assert {result.state for result in results} <= {TaskState.KILLED}
    assert [path for name in ("n1", "n2") for path in (nodes.folder / name / "tasks").glob("*")] == []
    assert all(engine.find({}) == [] for engine in nodes.engines.values())
    nodes.program = add
    resumed = list(nodes.batch(pairs(4), resume=True))
    assert [result.state for result in resumed] == [TaskState.FINISHED] * 4


def test_running_rows_are_counted_by_node_while_they_run(nodes: Nodes) -> None:
    # Given more rows than run at once, each of which waits
    held = threading.Event()

    def wait(container: FakeContainer) -> int:
        assert held.wait(PATIENCE)
        return add(container)

    nodes.program = wait
    app = nodes.client()
    request = nodes.request.replace(cpus=app.runner.admission.capacity.cpus)
    batch = nodes.batch(pairs(4), app=app, request=request)
    rows = threading.Thread(target=lambda: list(batch), daemon=True)
    rows.start()

    # When one runs on each node, then the progress and the record say so
    store = BatchStore(app.settings.home)
    expected = {"n1": 1, "n2": 1}
    until(lambda: getattr(store.load(batch.record.id), "nodes", None) == expected)
    assert batch.progress().nodes == expected
    until(lambda: batch.progress().in_flight == {"RUNNING": 2, "QUEUING": 2})

    # And none is left at the end
    held.set()
    rows.join(PATIENCE)
    found = store.load(batch.record.id)
    assert found is not None
    assert (found.counts, found.nodes) == ({"FINISHED": 4}, {})


def test_a_batch_ends_after_the_stop_that_ends_its_rows(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a stop that takes longer than the rows need to end
    started = threading.Semaphore(0)
    closed = threading.Event()
    end_session, close = ClusterConnection.end_session, ClusterConnection.close
    calls: list[float | None] = []

    async def slowly(connection: ClusterConnection, grace: float | None) -> None:
        calls.append(grace)
        is_first = len(calls) == 1
        await end_session(connection, grace)
        if is_first and await asyncio.to_thread(closed.wait, 1.0):
            await asyncio.sleep(10)

    async def closing(connection: ClusterConnection) -> None:
        await close(connection)
        closed.set()

    def wait(container: FakeContainer) -> int:
        started.release()
        assert container.stopped.wait(PATIENCE)
        return 143

    nodes.program = wait
    monkeypatch.setattr(ClusterConnection, "end_session", slowly)
    monkeypatch.setattr(ClusterConnection, "close", closing)
    batch = nodes.batch(pairs(2))

    def stop() -> None:
        started.acquire(timeout=PATIENCE)
        batch.stop(0.0)

    # When it stops the batch, whose iteration ends in the meantime
    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    for _ in batch:
        pass

    # Then both end
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(calls) == 2  # of the stop, and of the end
