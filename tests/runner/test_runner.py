"""Execution of a task on the fake engine; `test_on_docker` has the tests that need Docker."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from localrun.engines.base import Exit
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.labels import LABEL_TASK
from localrun.errors import Cause, ContainerGone, EngineError, ImageError
from localrun.task.events import Event
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from tests.support.environment import Environment, make_environment
from tests.support.full_disk import fail_next_write

LIFE = ["CREATED", "PROVISIONED", "QUEUING", "QUEUED", "PENDING", "RUNNING", "FINISHED"]


def add(container: FakeContainer) -> int:
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.stdout.write(f"adding {a} and {b}\n")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0


def run(env: Environment, **options: object) -> TaskRecord:
    return env.run(assignments=("a=3", "b=4"), **options)


def test_a_task_passes_every_state_and_has_outputs(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = run(env)
    assert [str(state) for state, _ in record.history] == LIFE
    assert (record.outputs, record.exit_code, record.cause) == ({"sum": 7}, 0, None)
    assert record.inputs == {"a": 3, "b": 4}
    assert env.app.store.open(record.id).load() == record


def test_the_three_steps_are_records_in_their_order(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = run(env)
    assert [str(step.name) for step in record.steps] == ["permissions", "task", "outputs"]
    assert all(step.exit_code == 0 and step.how and step.seconds is not None for step in record.steps)
    assert (Path(record.folder) / (record.steps[1].log or "")).read_text() == "adding 3 and 4\n"


def test_the_record_has_timings(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = run(env)
    phases = ["bundle", "admission", "image", "permissions", "create", "start", "run", "outputs", "remove"]
    assert list(record.timings) == phases


def test_no_container_is_left(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        run(env)
        assert env.engine.find({LABEL_TASK: ""}) == []


def test_output_is_reported_as_it_arrives(tmp_path: Path) -> None:
    seen: list[Event] = []
    with make_environment(tmp_path, add) as env:
        env.run(assignments=("a=1", "b=1"), listener=seen.append)
    assert [event.data["text"] for event in seen if event.kind == "log"] == ["adding 1 and 1\n"]


def test_a_nonzero_exit_code_fails_the_task_even_with_outputs(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        add(container)
        container.stderr.write("Traceback: oh no\n")
        return 3

    with make_environment(tmp_path, program) as env:
        record = run(env)
    assert (record.state, record.cause, record.exit_code) == (TaskState.FAILED, "EXIT_NONZERO", 3)
    assert record.outputs == {"sum": 7}
    assert "oh no" in record.message
    assert record.remedy


def test_invalid_outputs_fail_the_task_and_are_all_listed(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/sum").write_text("seven")
        container.path("/outputs/extra").write_text("x")
        return 0

    with make_environment(tmp_path, program) as env:
        record = run(env)
    assert (record.state, record.cause) == (TaskState.FAILED, "OUTPUTS_INVALID")
    (problem,) = record.problems
    assert "sum" in problem["path"]
    assert "seven" in problem["message"]
    assert any("extra" in warning for warning in record.warnings)


def test_a_task_over_its_time_limit_is_stopped(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.stopped.wait()
        return 0

    with make_environment(tmp_path, program) as env:
        record = run(env, timeout=0.05)
    assert (record.state, record.cause) == (TaskState.FAILED, "TIMEOUT")
    assert "0.05 s" in record.message


def test_a_task_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.killed.wait()
        return 0

    with make_environment(tmp_path, program, grace=0.05) as env:
        record = run(env, timeout=0.05)
    assert (record.cause, record.exit_code, record.oom) == ("TIMEOUT", 137, "no")


def test_a_killed_task_keeps_its_output(tmp_path: Path) -> None:
    started = threading.Event()

    def program(container: FakeContainer) -> int:
        add(container)
        started.set()
        container.stopped.wait()
        return 0

    with make_environment(tmp_path, program) as env:
        task = env.submit(assignments=("a=3", "b=4"))
        assert started.wait(60)
        env.app.manager.kill(task)
        record = env.app.manager.wait(task)
    assert record is not None
    assert (record.state, record.cause, record.outputs) == (TaskState.KILLED, "KILLED", {"sum": 7})


def test_a_task_that_is_killed_before_its_container_starts_never_runs(tmp_path: Path) -> None:
    ran = threading.Event()

    def program(container: FakeContainer) -> int:
        ran.set()
        return 0

    def stop_at_pending(event: Event) -> None:
        if event.message == "PENDING":
            env.app.store.open(event.task_id).request_kill()

    with make_environment(tmp_path, program) as env:
        record = env.run(assignments=("a=3", "b=4"), listener=stop_at_pending)
    assert (record.state, record.steps[-1].name) == (TaskState.KILLED, "permissions")
    assert not ran.is_set()


def test_a_stop_request_during_the_start_is_not_lost(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.stopped.wait()
        return 0

    def stop_at_running(event: Event) -> None:
        if event.message == "RUNNING":
            env.app.store.open(event.task_id).request_kill()

    with make_environment(tmp_path, program) as env:
        record = env.run(assignments=("a=3", "b=4"), listener=stop_at_running)
    assert record.state is TaskState.KILLED


def test_out_of_memory_is_reported_with_the_limit(tmp_path: Path) -> None:
    with make_environment(tmp_path, lambda container: Exit(137, oom_killed=True)) as env:
        record = run(env, memory=64 * 1024**2)
    assert (record.cause, record.oom, record.signal) == ("OUT_OF_MEMORY", "yes", "SIGKILL")
    assert "64 MiB" in record.message


def test_files_are_copied_as_archives_with_a_remote_engine(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, shares_files=False) as env:
        record = run(env)
    assert (record.state, record.outputs) == (TaskState.FINISHED, {"sum": 7})
    assert "archive" in record.steps[2].how


class Failing(FakeEngine):
    """An engine with one failing method."""

    def __init__(self, verb: str, error: EngineError) -> None:
        super().__init__(add)
        self.error = error

        def fail(*_: object, **__: object) -> None:
            raise self.error

        setattr(self, verb, fail)


@pytest.mark.parametrize("verb", ["create", "start", "wait"])
def test_an_engine_that_fails_ends_the_task_with_the_engines_cause(tmp_path: Path, verb: str) -> None:
    error = EngineError("the daemon went away", cause=Cause.ENGINE_LOST, remedy="start it")
    with make_environment(tmp_path, engine=Failing(verb, error)) as env:
        record = run(env)
    assert (record.state, record.cause) == (TaskState.FAILED, "ENGINE_LOST")
    assert (record.message, record.remedy) == ("the daemon went away", "start it")


def test_a_container_that_cannot_be_removed_is_a_warning(tmp_path: Path) -> None:
    with make_environment(tmp_path, engine=Failing("remove", ContainerGone("gone"))) as env:
        record = run(env)
    assert record.state is TaskState.FINISHED
    assert "cannot remove the task's container: gone" in record.warnings[0]


def test_a_missing_image_ends_the_task_before_a_container_is_created(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = env.run(assignments=("a=3", "b=4"), image="nowhere/none:1", pull="never")
        assert record.cause == str(ImageError("", cause=Cause.IMAGE_MISSING).cause)
        assert record.container is None


def test_an_internal_error_ends_the_task_and_leaves_a_traceback(tmp_path: Path) -> None:
    class Buggy(FakeEngine):
        def wait(self, handle: str) -> Exit:
            return Exit(1 // len(""))

    engine = Buggy(add)
    with make_environment(tmp_path, engine=engine) as env:
        record = run(env)
    assert (record.state, record.cause) == (TaskState.FAILED, "INTERNAL")
    assert "ZeroDivisionError" in record.message
    assert "ZeroDivisionError" in (Path(record.folder) / "traceback.txt").read_text()
    assert engine.find({LABEL_TASK: ""}) == []


def test_a_task_that_fills_the_disk_ends_and_leaves_no_container(tmp_path: Path) -> None:
    def fill(container: FakeContainer) -> int:
        folder = next((tmp_path / ".localrun" / "tasks").iterdir())
        (folder / "full").symlink_to("/dev/full")
        (folder / "full").replace(
            folder / "events.jsonl"
        )  # atomically: the runner writes to it in the meantime
        fail_next_write(folder / "task.json")
        container.stderr.write("No space left on device\n")
        return 1

    with make_environment(tmp_path, fill) as env:
        record = run(env)
        assert env.engine.find({LABEL_TASK: ""}) == []
    assert (record.state, record.cause) == (TaskState.FAILED, "DISK_FULL")
    assert env.app.store.open(record.id).load() == record
    assert not (Path(record.folder) / "reserve").exists()


def test_a_full_disk_is_not_an_internal_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("localrun.values.collect", full)
    with make_environment(tmp_path, add) as env:
        record = run(env)
    assert record.cause == "DISK_FULL"
    assert not (Path(record.folder) / "traceback.txt").exists()
