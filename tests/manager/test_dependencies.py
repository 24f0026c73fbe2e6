"""Inputs that are outputs of other tasks."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.app import App
from localrun.engines.fake import FakeContainer
from localrun.errors import InputsError, UsageError
from localrun.maintenance.prune import PruneOptions, Pruner
from localrun.manager import pending_inputs
from localrun.manager.dependencies import Dependencies
from localrun.manager.pending_inputs import PendingInputs
from localrun.manager.request import Request
from localrun.manager.rerun import request_from
from localrun.manager.submission import PreparedTask
from localrun.task.active import ActiveTask
from localrun.task.events import Event
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.values.references import TaskOutput
from tests.support.environment import Environment, make_environment

PATIENCE = 60.0


class Gate:
    """Blocks the programs with `b` below zero until it is opened or they are stopped."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def __call__(self, container: FakeContainer) -> int:
        a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
        while b < 0 and not self._open.is_set():
            if container.stopped.wait(0.01):
                return 137
        if b == 13:
            return 1
        container.path("/outputs/sum").write_text(str(a + abs(b)))
        return 0

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def env(tmp_path: Path, gate: Gate) -> Iterator[Environment]:
    with make_environment(tmp_path, gate) as env:
        yield env
        gate.open()


def after(env: Environment, *tasks: ActiveTask, b: int = 1, **options: Any) -> ActiveTask:
    """Submit a task whose input `a` is the sum of one task, and `b` that of another, if given."""
    given: dict[str, Any] = {"a": TaskOutput(tasks[0].id, "sum"), "b": b}
    if len(tasks) > 1:
        given["b"] = TaskOutput(tasks[1].id, "sum")
    return env.submit(values=given, **options)


def thread_names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def ended(env: Environment, task: ActiveTask) -> TaskRecord:
    record = env.app.manager.wait(task, PATIENCE)
    assert record is not None
    return record


def test_an_output_of_a_finished_task_is_an_input_at_once(env: Environment) -> None:
    first = env.run(values={"a": 1, "b": 2})
    for reference in ({"task": first.id, "output": "sum"}, TaskOutput("last", "sum")):
        record = env.run(values={"a": reference, "b": 1})
        assert record.outputs == {"sum": 4}
        assert record.source_rows == [f"a: from task {first.short_id}/sum"]
        assert [state for state, _ in record.history][:2] == [TaskState.CREATED, TaskState.PROVISIONED]
        env.app.remove(record.id)


def test_a_task_waits_in_queuing_with_the_reason_and_without_a_thread_or_a_reservation(
    env: Environment, gate: Gate
) -> None:
    first = env.submit(values={"a": 1, "b": -2})
    events: list[Event] = []
    waiting = [after(env, first, listener=events.append) for _ in range(20)]
    record = waiting[0].record
    assert (record.state, record.message) == (
        TaskState.QUEUING,
        f"waiting for output 'sum' of task {first.short_id}",
    )
    assert record.inputs == {"b": 1}
    notes = [event for event in events if event.data.get("waiting")]
    assert len(notes) == 20
    assert notes[0].message == record.message
    found = [name for name in thread_names() if name.startswith(("task-", "needs-"))]
    assert found == [f"task-{first.short_id}"]
    entries = env.app.runner.admission.snapshot()
    assert {entry.task_id for entry in (*entries.running, *entries.waiting)} == {first.id}
    gate.open()
    assert [ended(env, task).outputs for task in waiting] == [{"sum": 4}] * 20
    assert waiting[0].record.message == "finished"


def test_a_diamond_and_a_chain_of_50_tasks_run_in_order(env: Environment, gate: Gate) -> None:
    first = env.submit(values={"a": 0, "b": -1})
    left, right = after(env, first, b=10), after(env, first, b=20)
    task = after(env, left, right)
    for _ in range(50):
        task = after(env, task)
    gate.open()
    assert ended(env, task).outputs == {"sum": 11 + 21 + 50}


def test_a_chain_of_50_tasks_fails_with_its_first_one(env: Environment) -> None:
    first = task = env.submit(values={"a": 0, "b": -1})
    for _ in range(50):
        task = after(env, task)
    env.app.manager.kill(first, 0)
    record = ended(env, task)
    assert (record.state, record.cause) == (TaskState.FAILED, "DEPENDENCY_FAILED")


def test_a_failure_of_the_other_task_has_its_own_cause_and_names_it(env: Environment, gate: Gate) -> None:
    first = env.submit(values={"a": 1, "b": -1})
    failing = after(env, first, b=13)
    second = after(env, failing)
    third = after(env, second, first)
    gate.open()
    record, last = ended(env, second), ended(env, third)
    assert (record.state, record.cause) == (TaskState.FAILED, "DEPENDENCY_FAILED")
    assert (
        record.message
        == f"output 'sum' of task {failing.short_id} will not come: the task failed (EXIT_NONZERO)"
    )
    assert f"`localrun rerun {failing.short_id}`" in record.remedy
    assert "DEPENDENCY_FAILED" in last.message
    assert TaskState.QUEUED not in {state for state, _ in record.history}


def test_a_task_fails_if_the_other_one_is_stopped(env: Environment) -> None:
    first = env.submit(values={"a": 1, "b": -1})
    second = after(env, first)
    env.app.manager.kill(first, 0)
    assert "was stopped" in ended(env, second).message


def test_a_waiting_task_is_stopped_at_once_and_fails_those_that_wait_for_it(
    env: Environment, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_inputs, "_INTERVAL", 3600.0)
    first = env.submit(values={"a": 1, "b": -1})
    second = after(env, first)
    third = after(env, second)
    App(env.app.settings, env.engine).kill(second.id)  # from another process
    assert ended(env, second).state is TaskState.KILLED
    assert ended(env, third).cause == "DEPENDENCY_FAILED"
    gate.open()
    assert ended(env, first).state is TaskState.FINISHED


def test_everything_that_is_wrong_is_reported_at_submission(env: Environment) -> None:
    first, failed = env.run(values={"a": 1, "b": 2}), env.run(values={"a": 1, "b": 13})
    manual = env.app.manager.create_task({"name": "by hand"})
    cases = {
        "nothing": ("no task 'nothing'", "sum"),
        first.id: ("has no output 'som'", "som"),
        f"{failed.id} ": (
            f"output 'sum' of task {failed.short_id} will not come: the task failed (EXIT_NONZERO)",
            "sum",
        ),
        manual.id: ("has no container", "sum"),
        "": ("missing the id of a task", "sum"),
        f" {first.id}": ("missing the id of a task or the name of its output", ""),
    }
    for task_id, (message, output) in cases.items():
        with pytest.raises(InputsError) as caught:
            env.submit(values={"a": TaskOutput(task_id.strip(), output), "b": "x"})
        problems = {problem.path: problem.message for problem in caught.value.problems}
        assert message in problems["inputs.a"]
        assert "x" in problems["inputs.b"]
    assert len(env.app.tasks()) == 3


def test_a_task_cannot_depend_on_itself(env: Environment) -> None:
    payload = {"bundle": str(env.bundle), "image": env.image}
    with pytest.raises(InputsError, match="would depend on itself"):
        env.app.manager.create_task(
            {**payload, "inputs": {"a": {"task": "own", "output": "sum"}, "b": 1}}, task_id="own"
        )


def test_a_task_cannot_depend_on_itself_through_others(env: Environment) -> None:
    dying, other = (App(env.app.settings, env.engine) for _ in range(2))
    payload = {"bundle": str(env.bundle), "image": env.image}
    own = dying.manager.create_task({**payload, "inputs": {"a": 1}}, task_id="own")  # waits for an upload
    chain = [own]
    for _ in range(3):
        given = {"a": {"task": chain[-1].id, "output": "sum"}, "b": 1}
        chain.append(dying.manager.create_task({**payload, "inputs": given}))
    dying.manager.shutdown(on_exit="leave")
    shutil.rmtree(own.workspace.path)  # not by localrun, which keeps a task that others need
    request = Request(env.bundle, image=env.image, pull="never")
    for last in chain[1:]:
        given = {"a": TaskOutput(last.id, "sum"), "b": 1}
        with pytest.raises(InputsError) as caught:
            other.manager.submit(request.replace(values=given), task_id="own")
        (problem,) = caught.value.problems
        says = f"task {last.short_id} waits for an output of this task: each would depend on the other"
        assert (problem.path, problem.message) == ("inputs.a", says)
    assert {one.id for one in other.tasks()} == {one.id for one in chain[1:]}


def test_a_task_over_http_may_wait_for_uploads_and_for_an_output(env: Environment, gate: Gate) -> None:
    first = env.submit(values={"a": 1, "b": -2})
    payload = {"bundle": str(env.bundle), "image": env.image}
    task = env.app.manager.create_task({**payload, "inputs": {"a": {"task": first.id, "output": "sum"}}})
    assert (task.record.state, task.record.missing) == (TaskState.CREATED, ["b"])
    assert env.app.manager.put_input(task.id, "b", [b"4"]).state is TaskState.QUEUING
    with pytest.raises(UsageError, match="is not waiting for inputs: it is QUEUING"):
        env.app.manager.put_input(task.id, "b", [b"5"])
    gate.open()
    assert ended(env, task).outputs == {"sum": 7}


def test_a_failed_dependency_ends_a_task_whose_last_upload_comes_later(env: Environment) -> None:
    first = env.submit(values={"a": 1, "b": -2})
    given = {"a": {"task": first.id, "output": "sum"}}
    task = env.app.manager.create_task({"bundle": str(env.bundle), "image": env.image, "inputs": given})
    env.app.manager.kill(first, 0)
    env.app.manager.wait(first)
    env.app.manager.put_input(task.id, "b", [b"4"])
    assert ended(env, task).cause == "DEPENDENCY_FAILED"


def test_a_task_with_replicas_waits_too(env: Environment, gate: Gate) -> None:
    first = env.submit(values={"a": 1, "b": -2}, replicas=2)
    second = after(env, first, replicas=2)
    gate.open()
    assert ended(env, second).outputs == {"sum": 4}


def test_a_task_of_another_process_is_awaited_without_polling(env: Environment, gate: Gate) -> None:
    first = env.submit(values={"a": 1, "b": -2})
    other = App(env.app.settings, env.engine)
    options: dict[str, Any] = {"bundle": env.bundle, "image": env.image, "pull": "never"}
    given = {"a": TaskOutput(first.id, "sum"), "b": 1}
    tasks = [other.manager.submit(Request(**options, values=given)) for _ in range(5)]
    assert [name for name in thread_names() if name.startswith("needs-")] == [f"needs-{first.short_id}"]
    gate.open()
    for task in tasks:
        record = other.manager.wait(task, PATIENCE)
        assert record is not None
        assert record.outputs == {"sum": 4}


def test_the_next_process_continues_to_wait(env: Environment, gate: Gate) -> None:
    first = env.submit(values={"a": 1, "b": -2})
    dying, other = (App(env.app.settings, env.engine) for _ in range(2))
    ids = [first.id]
    for _ in range(2):
        given = {"a": TaskOutput(ids[-1], "sum"), "b": 1}
        options: dict[str, Any] = {
            "bundle": env.bundle,
            "image": env.image,
            "pull": "never",
            "detached": True,
        }
        ids.append(dying.manager.submit(Request(**options, values=given)).id)
    dying.manager.shutdown(on_exit="leave")
    other.recover()
    task = other.manager.get_task(ids[2])
    assert task is not None
    says = f"waiting for output 'sum' of task {ids[1][:8]}"
    assert (task.record.state, task.record.message) == (TaskState.QUEUING, says)
    gate.open()
    record = other.manager.wait(task, PATIENCE)
    assert record is not None
    assert record.outputs == {"sum": 5}
    assert other.find(ids[1])[1].state is TaskState.FINISHED
    other.close()


def test_a_shutdown_stops_waiting_tasks_and_leaves_detached_ones(env: Environment, gate: Gate) -> None:
    first = env.submit(values={"a": 1, "b": -2})
    second = after(env, first)
    env.app.manager.shutdown(0)
    assert (first.record.state, second.record.state) == (TaskState.KILLED, TaskState.KILLED)


def test_rerun_repeats_the_reference(env: Environment) -> None:
    first = env.run(values={"a": 1, "b": 2})
    second = env.run(values={"a": TaskOutput(first.id, "sum"), "b": 1})
    request = rerun_of(env, second)
    assert request.values == {"a": TaskOutput(first.id, "sum"), "b": 1}
    record = env.run(**{name: getattr(request, name) for name in ("values", "rerun_of")})
    assert record.source_rows == second.source_rows
    env.app.remove(first.id)
    assert rerun_of(env, second).values == {"a": 3, "b": 1}


def test_rerun_repeats_a_reference_that_never_came(env: Environment) -> None:
    first = env.submit(values={"a": 1, "b": -2})
    second = after(env, first)
    env.app.manager.kill(first, 0)
    record = ended(env, second)
    assert rerun_of(env, record).values == {"a": TaskOutput(first.id, "sum"), "b": 1}


def rerun_of(env: Environment, record: TaskRecord) -> Request:
    workspace = env.app.store.open(record.id)
    return request_from(record, workspace, lambda _: None, has_image=lambda _: True)


def test_a_task_that_another_one_needs_is_not_deleted(env: Environment, gate: Gate) -> None:
    first, blocked = env.run(values={"a": 1, "b": 2}), env.submit(values={"a": 1, "b": -2})
    given = {"a": TaskOutput(first.id, "sum"), "b": TaskOutput(blocked.id, "sum")}
    second = env.submit(values=given)
    with pytest.raises(UsageError, match=f"is an input of active task {second.short_id}"):
        env.app.remove(first.id)
    app, settings = env.app, env.app.settings
    pruner = Pruner(app.store, settings.cache, app.ledger, lambda: app.engine, app.remove, lambda: None)
    plan = pruner.plan(PruneOptions(keep=0, kinds=frozenset({"task"})))
    assert plan.items == ()
    assert plan.notes == (f"keeping task {first.short_id}: it has inputs of active task {second.short_id}",)
    gate.open()
    assert ended(env, second).outputs == {"sum": 6}
    assert len(pruner.plan(PruneOptions(keep=0, kinds=frozenset({"task"}))).items) == 3


def test_a_deleted_task_fails_those_that_wait(env: Environment, gate: Gate) -> None:
    first = env.submit(values={"a": 1, "b": -2})
    dying, other = (App(env.app.settings, env.engine) for _ in range(2))
    options: dict[str, Any] = {"bundle": env.bundle, "image": env.image, "pull": "never", "detached": True}
    given = {"a": TaskOutput(first.id, "sum"), "b": 1}
    second = dying.manager.submit(Request(**options, values=given))
    dying.manager.shutdown(on_exit="leave")
    gate.open()
    ended(env, first)
    env.app.store.remove(first.workspace)
    other.recover()
    record = other.wait(second.id)
    assert (record.cause, record.message) == ("DEPENDENCY_FAILED", f"task {first.short_id} was deleted")
    other.close()


def test_a_server_that_is_not_localrun_gets_no_reference(env: Environment) -> None:
    from localrun import descriptor
    from localrun.api.remote.provisions import given_inputs

    request = Request(env.bundle, values={"a": TaskOutput("x", "sum"), "b": 1})
    found = given_inputs(request, descriptor.read(env.bundle.read_bytes()))
    messages = [problem.message for problem in found.problems]
    assert messages == ["output 'sum' of task x is not sent to a server"]


def test_a_task_starts_if_the_one_that_it_needs_ends_while_it_is_added(
    env: Environment, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = env.submit(values={"a": 1, "b": -2})
    is_reported = threading.Event()
    report, hold = Dependencies.ended, PendingInputs.hold

    def ended_and_reported(self: Dependencies, record: TaskRecord) -> None:
        report(self, record)
        is_reported.set()

    def hold_late(self: PendingInputs, prepared: PreparedTask) -> None:
        gate.open()
        assert is_reported.wait(PATIENCE)
        hold(self, prepared)

    monkeypatch.setattr(Dependencies, "ended", ended_and_reported)
    monkeypatch.setattr(PendingInputs, "hold", hold_late)
    second = after(env, first)
    assert ended(env, second).outputs == {"sum": 4}
