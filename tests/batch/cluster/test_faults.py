"""Nodes, clients and schedulers that fail."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed.comm.core import CommClosedError

from localrun.batch.cluster import connection
from localrun.batch.cluster.orders import Ended
from localrun.batch.cluster.placement import Placement
from localrun.batch.cluster.worker import ignore_timeouts
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import Cause, EngineUnreachable, LocalrunError, UsageError
from localrun.task.states import TaskState
from tests.batch.cluster.nodes import Nodes
from tests.cli.command import add

PATIENCE = 60.0  # seconds


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    with Nodes(tmp_path).running() as started:
        yield started


def pairs(count: int) -> list[dict[str, int]]:
    return [{"a": number, "b": 1} for number in range(1, count + 1)]


def set_full(nodes: Nodes, full: set[str]) -> None:
    """Let the disks of these nodes be full."""
    for name, worker in nodes.cluster.workers.items():
        found = worker.plugins["localrun"].node
        if name in full:
            found._check_health = lambda found=found: _raise_full(found.name)


def _raise_full(name: str) -> None:
    raise LocalrunError(f"node {name}: disk-pressure: /data is 99 % full", cause=Cause.DISK_FULL)


def test_rows_avoid_a_node_whose_disk_is_full(nodes: Nodes) -> None:
    nodes.run(lambda: set_full(nodes, {"n1"}))
    results = list(nodes.batch(pairs(8)))
    assert Counter((result.node, result.state) for result in results) == {("n2", TaskState.FINISHED): 8}
    assert nodes.notes == ["node n1 cannot run rows now: disk-pressure: /data is 99 % full"]


def test_a_worker_without_an_engine_is_named_and_gets_no_rows(nodes: Nodes) -> None:
    def fail() -> None:
        raise EngineUnreachable("cannot connect to the Docker engine")

    nodes.engines["n3"] = FakeEngine()
    nodes.engines["n3"].info = fail  # type: ignore[method-assign, assignment]
    address = nodes.add("n3").address
    results = list(nodes.batch(pairs(6)))
    assert Counter(result.node for result in results).keys() <= {"n1", "n2"}
    assert nodes.notes == [f"worker n3 ({address}) cannot run rows: cannot connect to the Docker engine"]


def test_a_batch_stops_with_the_cause_if_no_node_can_run_rows(nodes: Nodes) -> None:
    nodes.run(lambda: set_full(nodes, {"n1", "n2"}))
    with pytest.raises(LocalrunError, match="disk-pressure: /data is 99 % full") as caught:
        list(nodes.batch(pairs(4)))
    assert caught.value.cause is Cause.DISK_FULL


@pytest.mark.parametrize(("number", "ran"), [(errno.ENOSPC, {"n2": 6}), (errno.EACCES, {"": 6})])
def test_an_error_of_the_system_on_a_node_is_a_result_or_the_row_runs_elsewhere(
    nodes: Nodes, number: int, ran: dict[str, int]
) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    def set_up() -> None:
        for worker in nodes.cluster.workers.values():
            if worker.name == "n1" or number == errno.EACCES:
                worker.plugins["localrun"].node._check_health = fail

    nodes.run(set_up)
    results = list(nodes.batch(pairs(6)))
    assert Counter(result.node for result in results) == ran
    if number == errno.EACCES:
        text = "node {0}: cannot write to the task folder {1}/{0}: Permission denied"
        assert {result.message for result in results} <= {text.format(n, nodes.folder) for n in ("n1", "n2")}


def test_a_row_whose_answer_is_lost_is_placed_again(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, lost = Placement._answer, 0

    async def lose(self: Placement, future: Any, workers: list[str] | None) -> Any:
        nonlocal lost
        found = await answer(self, future, workers)
        if lost < 2 and isinstance(found, Ended):
            lost += 1
            raise CommClosedError("in <TCP>: Stream is closed")
        return found

    monkeypatch.setattr(Placement, "_answer", lose)
    started: Counter[str] = Counter()

    def count(container: FakeContainer) -> int:
        started[container.path("/inputs/a").read_text()] += 1
        return add(container)

    nodes.program = count
    results = list(nodes.batch(pairs(4)))
    assert {result.state for result in results} == {TaskState.FINISHED}
    assert lost == 2
    assert max(started.values()) <= 2  # none is repeated on its node


def test_timeouts_that_dask_leaves_behind_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    for error in (TimeoutError("Timeout"), ValueError("a bug")):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(ignore_timeouts)
        loop.create_future().set_exception(error)
        gc.collect()
        loop.close()
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(error) for error in logged] == ["a bug"]


def test_the_rows_of_a_lost_worker_run_elsewhere(nodes: Nodes) -> None:
    held = threading.Event()
    started: Counter[str] = Counter()

    def program(container: FakeContainer) -> int:
        started[container.path("/inputs/a").read_text()] += 1
        while not (held.wait(0.01) or container.stopped.is_set()):
            pass
        return 143 if container.stopped.is_set() else add(container)

    nodes.program = program
    batch = nodes.batch(pairs(6))

    def lose() -> None:
        while sum(started.values()) < 6:
            held.wait(0.01)
        nodes.close_worker("n1")
        held.set()

    thread = threading.Thread(target=lose)
    thread.start()
    results = list(batch)
    thread.join()
    assert Counter(result.row.number for result in results) == dict.fromkeys(range(1, 7), 1)
    assert {result.state for result in results} == {TaskState.FINISHED}
    assert nodes.engines["n1"].find({}) == []


def test_a_node_stops_the_rows_of_a_client_that_is_gone(nodes: Nodes) -> None:
    started, stopped = threading.Semaphore(0), threading.Semaphore(0)

    def program(container: FakeContainer) -> int:
        started.release()
        assert container.stopped.wait(PATIENCE)
        stopped.release()
        return 143

    nodes.program = program
    batch = nodes.batch(pairs(2))
    rows = threading.Thread(target=lambda: list(batch), daemon=True)
    rows.start()
    for _ in range(2):
        assert started.acquire(timeout=PATIENCE)
    nodes.run(nodes.drop_clients)
    for _ in range(2):
        assert stopped.acquire(timeout=PATIENCE)
    nodes.program = add
    rows.join(PATIENCE)  # the client connects again, and runs its rows
    assert batch.counts == {"FINISHED": 2}


def test_a_worker_with_another_version_is_an_error_before_the_first_row(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "__version__", "9.9")
    with pytest.raises(LocalrunError, match=r"2 of 2 workers of tcp://.* cannot run rows") as caught:
        list(nodes.batch(pairs(1)))
    for name, problem in zip(("n1", "n2"), caught.value.problems, strict=True):
        assert problem.path.startswith(f"worker {name} (tcp://")
        assert "the client has 9.9" in problem.message


def test_rows_that_no_worker_can_hold_are_an_error_with_the_command_to_start_one(nodes: Nodes) -> None:
    with pytest.raises(LocalrunError, match=r"no worker of .* has the resources of a row") as caught:
        list(nodes.batch(pairs(1), request=nodes.request.replace(cpus=100.0)))
    assert f"`dask worker {nodes.address} --resources 'CPU=100 " in caught.value.remedy


def test_a_cluster_that_does_not_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_CONNECT_TIMEOUT", 0.2)
    nodes = Nodes(tmp_path)
    with pytest.raises(LocalrunError, match=r"cannot connect to the cluster tcp://127.0.0.1:9"):
        list(nodes.batch(pairs(1), address="tcp://127.0.0.1:9"))


def test_the_reason_is_the_first_error_of_the_connection() -> None:
    try:
        try:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        except OSError as error:
            raise TimeoutError("Timed out trying to connect to tcp://host:1 after 10 s") from error
    except OSError as error:
        found = connection.unreachable("tcp://host:1", error)
    assert found.message == "cannot connect to the cluster tcp://host:1: Connection refused"


def test_the_reason_is_found_if_the_last_attempt_was_cut_off() -> None:
    try:
        try:
            try:
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            except OSError:
                raise asyncio.CancelledError  # noqa: B904 - as the backoff of Dask
        except asyncio.CancelledError as error:
            raise TimeoutError from error
    except OSError as error:
        found = connection.unreachable("tcp://host:1", error)
    assert found.message == "cannot connect to the cluster tcp://host:1: Connection refused"


def test_an_address_where_no_scheduler_answers_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr(connection, "_HANDSHAKE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(LocalrunError, match=f"cannot connect to the cluster {address}"):
            list(Nodes(tmp_path).batch(pairs(1), address=address))


@pytest.mark.parametrize(
    "address", ["http://host:8786", "host:8786", "tcp://", "local:", "local:0", "local:x", "", "tcp"]
)
def test_an_invalid_address_is_an_error_at_once(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="invalid cluster address"):
        Nodes(tmp_path).batch(pairs(1), address=address)
