"""Batches: check, run, stop and fail."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from localrun.batch.backend import RowResult
from localrun.batch.local import LocalBackend
from localrun.batch.rows import ListedRows, Row
from localrun.batch.store import BatchRecord, BatchStore
from localrun.batch.table import TableRows
from localrun.bundle.reader import Bundle
from localrun.engines.fake import FakeContainer
from localrun.errors import Cause, EngineUnreachable, InputsError, LocalrunError, UsageError
from localrun.task.states import TaskState
from tests.batch.work import Project, pairs
from tests.cli.command import add


class Immediate:
    """A backend whose rows finish at once."""

    slots = 8

    def __init__(self) -> None:
        self._ended: SimpleQueue[RowResult] = SimpleQueue()
        self.in_flight = self.most = 0

    def prepare(self, bundle: Bundle) -> str:
        return bundle.name

    def start(self, row: Row, attempt: int) -> None:
        assert attempt == 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        self._ended.put(RowResult(row, TaskState.FINISHED, outputs={"sum": 1}))

    def next(self, timeout: float | None = None) -> RowResult | None:
        try:
            found = self._ended.get(block=timeout != 0, timeout=timeout)
        except Empty:
            return None
        self.in_flight -= 1
        return found

    def states(self) -> Mapping[str, int]:
        return {}

    nodes = states

    def cancel(self, grace: float | None = None) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing is held."""


def test_an_iexec_app_is_refused(project: Project) -> None:
    project.request = project.request.replace(profile="iexec")
    with pytest.raises(UsageError, match="a batch cannot run an iExec app"):
        project.batch(pairs(1))


def test_each_row_runs_once_and_its_result_is_in_both_tables(project: Project) -> None:
    results = list(project.batch(pairs(1, 2, 3)))
    assert sorted(result.outputs["sum"] for result in results) == [2, 3, 4]
    shown = [
        (row["row"], row["id"], row["a"], row["state"], row["cause"], row["sum"]) for row in project.rows
    ]
    assert shown == [(str(n), f"000{n}", str(n), "FINISHED", "", str(n + 1)) for n in (1, 2, 3)]
    assert [(line["inputs"], line["outputs"]) for line in project.lines] == [
        ({"a": n, "b": 1}, {"sum": n + 1}) for n in (1, 2, 3)
    ]
    assert all(line["duration"] is not None and line["task"] for line in project.lines)


def test_equal_rows_run_each(project: Project) -> None:
    assert project.run(pairs(1, 1, 1)) == [1, 1, 1]
    assert len({line["task"] for line in project.lines}) == 3


def test_nothing_runs_if_a_row_is_invalid(project: Project) -> None:
    with pytest.raises(InputsError, match="2 invalid rows of 3") as caught:
        project.batch([*pairs(1), {"a": "x", "b": 1}, {"a": 1}])
    assert [problem.path for problem in caught.value.problems] == ["row 2, column a", "row 3, column b"]
    assert project.started == []
    assert not project.home.exists()


def test_skipped_rows_are_in_the_table_and_run_once_they_are_valid(project: Project) -> None:
    rows: list[dict[str, Any]] = [*pairs(1), {"a": "x", "b": 1}, *pairs(3)]
    assert project.run(rows, skip_invalid=True) == [1, 3]
    assert [(row["state"], row["cause"]) for row in project.rows] == [
        ("FINISHED", ""),
        ("FAILED", "INPUTS_INVALID"),
        ("FINISHED", ""),
    ]
    assert project.rows[1]["message"].startswith("column a: expected an integer, got 'x'")
    assert project.run(pairs(1, 2, 3), resume=True) == [2]
    assert [row["state"] for row in project.rows] == ["FINISHED"] * 3


def test_a_failed_row_does_not_stop_the_others(project: Project) -> None:
    project.program = fail_on(2)
    batch = project.batch(pairs(1, 2, 3))
    assert {result.row.number: result.cause for result in batch} == {1: None, 2: "EXIT_NONZERO", 3: None}
    assert batch.counts == {"FINISHED": 2, "FAILED": 1}
    (failure,) = batch.summary()["failures"]
    assert (failure["row"], failure["id"], failure["cause"]) == (2, "0002", "EXIT_NONZERO")


def fail_on(*values: int) -> Any:
    """Return a program that fails for some values of `a`."""

    def program(container: FakeContainer) -> int:
        return 1 if int(container.path("/inputs/a").read_text()) in values else add(container)

    return program


def test_a_stopped_batch_keeps_what_has_ended_and_is_resumed(project: Project) -> None:
    project.program = project.hang_after(1)
    batch = project.batch(pairs(1, 2, 3, 4, 5), jobs=2)
    results = []
    for result in batch:
        results.append(result)
        batch.stop()
    assert [result.row.number for result in results] == [1]
    assert batch.counts == {"FINISHED": 1}
    assert not project.app().manager.active_tasks
    project.program = add
    assert project.run(pairs(1, 2, 3, 4, 5), resume=True) == [2, 3, 4, 5]
    assert [row["state"] for row in project.rows] == ["FINISHED"] * 5


def test_leaving_the_iteration_stops_the_rows_in_flight(project: Project) -> None:
    project.program = project.hang_after(1)
    batch = project.batch(pairs(1, 2, 3))
    iterator = iter(batch)
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert not project.app().manager.active_tasks
    project.program = add
    assert project.run(pairs(1, 2, 3), resume=True) == [2, 3]


def test_no_more_rows_are_in_flight_than_the_backend_has_slots(project: Project) -> None:
    backend = Immediate()
    list(project.batch(pairs(*range(50)), backend=backend))
    assert 1 <= backend.most <= backend.slots


def test_rows_are_never_over_committed_whatever_the_number_of_jobs(project: Project) -> None:
    running: set[str] = set()
    most = 0
    guard = threading.Lock()

    def program(container: FakeContainer) -> int:
        nonlocal most
        with guard:
            running.add(container.handle)
            most = max(most, len(running))
        code = add(container)
        with guard:
            running.discard(container.handle)
        return code

    project.program = program
    app = project.app()
    third = app.engine.info().cpus / 3
    project.request = project.request.replace(cpus=third)
    list(project.batch(pairs(*range(12)), app=app, jobs=12))
    assert len(project.rows) == 12
    assert 1 <= most <= 3


def test_the_engine_that_goes_away_stops_the_batch_and_its_rows_run_again(project: Project) -> None:
    class Lost(LocalBackend):
        def next(self, timeout: float | None = None) -> RowResult | None:
            found = super().next(timeout)
            if found is None or found.row.number != 2:
                return found
            message = "the engine does not answer"
            return RowResult(
                found.row, TaskState.FAILED, cause=str(Cause.ENGINE_UNREACHABLE), message=message
            )

    app = project.app()
    project.program = fail_on(2)
    with pytest.raises(LocalrunError, match="the engine does not answer") as caught:
        list(project.batch(pairs(1, 2, 3), app=app, backend=Lost(app, project.request, 1)))
    assert caught.value.cause is Cause.ENGINE_UNREACHABLE
    assert "--resume" in caught.value.remedy
    project.program = add
    assert project.run(pairs(1, 2, 3), resume=True) == [2, 3]


def test_a_result_that_cannot_be_written_stops_the_batch_which_can_be_resumed(project: Project) -> None:
    def full(*_: object) -> None:
        raise LocalrunError("no space left", remedy="free disk space")

    batch = project.batch(pairs(1, 2, 3), jobs=1)
    batch.table.add = full  # type: ignore[method-assign, assignment]
    with pytest.raises(LocalrunError, match="no space left") as caught:
        list(batch)
    assert caught.value.remedy == "free disk space; then continue with --resume"
    assert project.started == [1]
    assert project.run(pairs(1, 2, 3), resume=True) == [2, 3]
    assert len(project.lines) == 3


def test_an_image_that_is_missing_is_reported_before_any_row(project: Project) -> None:
    project.request = project.request.replace(image="localrun-test/none:1")
    with pytest.raises(LocalrunError, match="localrun-test/none:1"):
        project.run(pairs(1, 2))
    assert project.started == []


def test_no_engine_is_reported_before_any_row(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    app = project.app()
    monkeypatch.setattr(type(app.engine), "find_image", _raise)
    with pytest.raises(EngineUnreachable):
        list(project.batch(pairs(1), app=app))


def _raise(*_: object) -> None:
    raise EngineUnreachable("no engine")


def test_results_have_the_format_of_a_known_extension(project: Project) -> None:
    with pytest.raises(UsageError, match=r"results must be a \.csv or \.jsonl file"):
        project.batch(pairs(1), results=project.folder / "results.xlsx")


def test_without_a_file_the_results_are_in_the_folder_of_the_batch(project: Project) -> None:
    batch = project.batch(pairs(1), results=None)
    list(batch)
    assert batch.table.csv == project.home / "batches" / batch.record.id / "results.csv"
    again = project.batch(pairs(1, 2), results=None, resume=True)
    list(again)
    assert (again.record.id, sorted(project.started)) == (batch.record.id, [1, 2])


def test_without_a_file_the_batch_with_the_same_table_is_resumed(project: Project) -> None:
    first, second = project.folder / "1.csv", project.folder / "2.csv"
    first.write_text("a,b\n1,1\n")
    second.write_text("a,b\n2,1\n")
    for table in (first, second):
        project.run(TableRows(table), results=None)
    for table in (first, second):
        assert project.run(TableRows(table), results=None, resume=True) == []


def test_a_batch_that_cannot_be_saved_is_stopped_nevertheless(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.program = project.hang_after(1)
    batch = project.batch(pairs(1, 2, 3))
    iterator = iter(batch)
    next(iterator)

    def full(*_: object) -> None:
        raise LocalrunError("no space left", cause=Cause.DISK_FULL)

    with monkeypatch.context() as patch:
        patch.setattr(type(batch._store), "save", full)
        with pytest.raises(LocalrunError, match="no space left"):
            iterator.close()  # type: ignore[attr-defined]
    assert not project.app().manager.active_tasks
    project.program = add
    assert project.run(pairs(1, 2, 3), resume=True) == [2, 3]


def test_the_record_of_a_batch_says_how_far_it_is(project: Project) -> None:
    batch = project.batch(pairs(1, 2))
    list(batch)
    record = batch._store.load(batch.record.id)
    assert record is not None
    assert (record.total, record.counts, record.name) == (2, {"FINISHED": 2}, "Add integers")
    assert record.ended is not None
    assert batch._store.state(record) == "ended"
    assert {found.batch.row for found in project.app().tasks() if found.batch} == {1, 2}


def test_another_process_cannot_run_the_batch_at_the_same_time(project: Project) -> None:
    batch = project.batch(pairs(1, 2))
    iterator = iter(batch)
    next(iterator)
    with pytest.raises(UsageError, match="is run by process"):
        project.batch(pairs(1, 2), resume=True)
    with pytest.raises(UsageError, match="is run by process"):
        project.batch(pairs(1, 2))
    list(iterator)


def test_two_new_batches_cannot_write_the_same_results(project: Project) -> None:
    first, second = project.batch(pairs(1, 2)), project.batch(pairs(3))
    rows = iter(first)
    next(rows)
    with pytest.raises(UsageError, match="is run by process"):
        list(second)
    list(rows)
    assert [row["a"] for row in project.rows] == ["1", "2"]


def test_a_batch_that_is_stopped_before_its_first_row_keeps_the_results_that_it_would_replace(
    project: Project,
) -> None:
    project.run(pairs(1, 2))
    batch = project.batch(pairs(1, 2))
    batch.stop()
    assert list(batch) == []
    assert project.run(pairs(1, 2), resume=True) == []


def test_stopping_a_batch_that_has_ended_changes_nothing(project: Project) -> None:
    batch = project.batch(pairs(1))
    list(batch)
    before = BatchStore(project.home).load(batch.record.id)
    batch.stop()
    assert BatchStore(project.home).load(batch.record.id) == before


def test_a_batch_is_resumed_as_its_last_process_left_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run(pairs(1))
    acquire = BatchStore.acquire

    def end_of_another_process(store: BatchStore, record: BatchRecord) -> int:
        store.save(record.replace(attempt=7))
        return acquire(store, record)

    monkeypatch.setattr(BatchStore, "acquire", end_of_another_process)
    assert project.batch(pairs(1), resume=True).record.attempt == 7


def test_the_cost_of_a_row_does_not_grow_with_the_number_of_ended_rows(project: Project) -> None:
    calls: list[int] = []
    objects: list[int] = []
    count = 0

    def profile(*_: object) -> None:
        nonlocal count
        count += 1

    for number, _ in enumerate(project.batch(ListedRows(pairs(*range(1200))), backend=Immediate())):
        if number % 100 == 0:
            sys.setprofile(None)
            calls.append(count)
            objects.append(len(gc.get_objects()))
            count = 0
            sys.setprofile(profile)
    sys.setprofile(None)
    assert max(calls[2:]) < 1.1 * min(calls[2:])
    assert objects[-1] - objects[2] < 300  # of 900 rows


def test_a_row_lists_no_folder_whose_size_grows(project: Project) -> None:
    listed: list[str] = []

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event in ("os.listdir", "os.scandir") and listening:
            listed.append(str(given[0]))

    listening = False
    sys.addaudithook(hook)
    batch = project.batch(pairs(*range(30)))
    for number, _ in enumerate(batch):
        listening = number >= 5
    listening = False
    folders = {str(project.home / name) for name in ("tasks", "active", "batches")}
    assert [path for path in listed if path in folders] == []
