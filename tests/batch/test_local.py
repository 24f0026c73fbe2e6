"""Rows that run on this machine's task manager."""

from __future__ import annotations

import msgspec
import pytest

from localrun.admission import Capacity
from localrun.app import App
from localrun.batch.backend import RowResult
from localrun.batch.local import LocalBackend
from localrun.batch.rows import Row
from localrun.errors import AdmissionError, LocalrunError
from localrun.manager.submission import read_requested
from localrun.task.states import TaskState
from tests.batch.work import Project

BATCH = "6f7e0f0e-6d5b-4b0e-9a43-0d2b6b3f8a10"


def row(a: int, **values: int) -> Row:
    return Row(a, {"a": a, "b": 1, **values}, batch=BATCH, digest=f"{a:064x}")


def run(app: App, project: Project, given: Row, attempt: int = 1) -> RowResult:
    backend = LocalBackend(app, project.request)
    backend.start(given, attempt)
    found = backend.next(60)
    assert found is not None
    return found


def test_the_id_of_a_task_depends_on_the_batch_the_row_and_the_attempt() -> None:
    first = row(1)
    others = [
        msgspec.structs.replace(first, batch=BATCH.replace("6", "7")),
        msgspec.structs.replace(first, digest="0" * 64),
        msgspec.structs.replace(first, occurrence=1),
    ]
    ids = [first.task_id(1), first.task_id(2), *(other.task_id(1) for other in others)]
    assert len(set(ids)) == 5
    assert first.task_id(1) == row(1).task_id(1)
    assert msgspec.structs.replace(first, number=7, id="x").task_id(1) == first.task_id(1)


def test_a_row_is_a_task_with_the_batch_in_its_record(project: Project) -> None:
    app = project.app()
    found = run(app, project, msgspec.structs.replace(row(1), id="left"))
    record = app.find(found.task)[1]
    assert record.batch is not None
    assert (record.batch.id, record.batch.row, record.batch.name) == (BATCH, 1, "left")
    assert (found.state, found.outputs, found.cause, found.message) == (
        TaskState.FINISHED,
        {"sum": 2},
        None,
        "",
    )


def test_an_attempt_that_has_ended_is_adopted_by_the_next_process(project: Project) -> None:
    project.program = lambda _: 3
    first = run(project.app(), project, row(1))
    again = run(project.app(), project, row(1))
    assert (again.task, again.cause, project.started) == (first.task, "EXIT_NONZERO", [1])


def test_a_later_attempt_adopts_an_earlier_one_that_finished_but_not_one_that_failed(
    project: Project,
) -> None:
    finished = run(project.app(), project, row(1))
    assert run(project.app(), project, row(1), attempt=3).task == finished.task
    project.program = lambda _: 3
    failed = run(project.app(), project, row(2))
    assert run(project.app(), project, row(2), attempt=2).task != failed.task
    assert project.started == [1, 2, 2]


def test_an_attempt_that_was_killed_with_its_batch_is_not_the_end_of_the_row(project: Project) -> None:
    program, project.program = project.program, project.hang_after(0)
    for _ in range(2):
        backend = LocalBackend(project.app(), project.request)
        backend.start(row(1), 1)
        backend.cancel(0.0)
        killed = backend.next(60)
        assert killed is not None
        assert killed.state is TaskState.KILLED
    project.program = program
    found = run(project.app(), project, row(1))
    assert (found.state, found.task) == (TaskState.FINISHED, row(1).task_id(3))
    project.started.clear()
    for attempt in (1, 2, 5):
        assert run(project.app(), project, row(1), attempt).task == found.task
    assert project.started == []


def test_rows_that_are_stopped_leave_nothing_and_end_as_killed(project: Project) -> None:
    project.program = project.hang_after(0)
    app = project.app()
    backend = LocalBackend(app, project.request)
    for number in (1, 2, 3):
        backend.start(row(number), 1)
    backend.cancel(0.0)
    found = [backend.next(60) for _ in range(3)]
    assert {one.state for one in found if one is not None} == {TaskState.KILLED}
    assert not app.manager.get_all_active_tasks()
    assert backend.states() == {}


def test_a_row_that_is_started_after_the_stop_ends_at_once(project: Project) -> None:
    project.program = project.hang_after(0)
    backend = LocalBackend(project.app(), project.request)
    backend.cancel()
    backend.start(row(1), 1)
    found = backend.next(60)
    assert found is not None
    assert found.state is TaskState.KILLED


def test_a_row_that_is_refused_is_a_result_without_a_task(project: Project) -> None:
    found = run(project.app(), project, row(1, c=1))
    assert (found.state, found.cause, found.task) == (TaskState.FAILED, "INPUTS_INVALID", "")
    assert "unknown input 'c'" in found.message


def test_what_concerns_all_rows_is_raised(project: Project) -> None:
    project.request = project.request.replace(cpus=10_000.0)
    with pytest.raises(AdmissionError):
        run(project.app(), project, row(1))


def test_the_message_of_a_result_has_the_problems_of_the_outputs(project: Project) -> None:
    project.program = lambda _: 0
    message = run(project.app(), project, row(1)).message
    assert message.startswith("invalid outputs (1 problem); outputs.sum: missing output")


@pytest.mark.parametrize(("cpus", "memory", "fits"), [(0.5, None, 2), (0.1, None, 10), (0.01, 2**40, 0)])
def test_a_few_more_rows_are_in_flight_than_fit_into_the_machine(
    project: Project, monkeypatch: pytest.MonkeyPatch, cpus: float, memory: int | None, fits: int
) -> None:
    app = project.app()
    capacity = Capacity(cpus=1, memory=2**36)
    monkeypatch.setattr(app.runner.admission, "capacity", capacity)
    request = project.request.replace(cpus=cpus, memory=memory)
    bundle = read_requested(request, app.settings.cache)
    for jobs, slots in ((None, fits + 2), (3, 3)):
        backend = LocalBackend(app, request, jobs)
        backend.prepare(bundle)
        assert backend.slots == slots


def test_states_count_the_rows_in_flight(project: Project) -> None:
    project.program = project.hang_after(0)
    backend = LocalBackend(project.app(), project.request)
    backend.start(row(1), 1)
    assert sum(backend.states().values()) == 1
    backend.cancel(0.0)


def test_without_a_row_in_flight_there_is_no_result(project: Project) -> None:
    backend = LocalBackend(project.app(), project.request)
    assert backend.next(0) is None
    assert backend.next(0.01) is None


def test_a_task_that_no_process_can_continue_is_an_error_of_the_batch(project: Project) -> None:
    app = project.app()
    backend = LocalBackend(app, project.request)
    held = app.manager.submit(row(1).request(project.request).replace(held=True, detached=True))
    app.close(on_exit="leave")
    with pytest.raises(LocalrunError, match="no process can continue it"):
        LocalBackend(project.app(), project.request)._end_of(held.id)
    assert backend.slots > 1
