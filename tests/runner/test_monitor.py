"""Monitoring of a container when the engine fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from localrun.engines.base import ContainerStatus, Exit, LogChunk
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.fake.engine import INFO
from localrun.engines.labels import LABEL_TASK
from localrun.errors import Cause, EngineError, EngineUnreachable
from localrun.runner import monitor
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from tests.support.environment import make_environment


class Restarted(FakeEngine):
    """An engine that is lost while the first container runs."""

    def __init__(self, exit_: Exit, *, away: int = 1, forgets: bool = False) -> None:
        super().__init__(lambda container: exit_)
        self.away = away
        self.forgets = forgets
        self.broken = threading.Event()

    def wait(self, handle: str) -> Exit:
        ended = super().wait(handle)
        if not self.broken.is_set():
            self.broken.set()
            raise EngineError("the connection broke", cause=Cause.ENGINE_LOST)
        return ended

    def find(self, labels: object) -> list:  # type: ignore[type-arg]
        if self.broken.is_set() and self.away > 0:
            self.away -= 1
            raise EngineUnreachable("nothing answers")
        return [] if self.broken.is_set() and self.forgets else super().find(labels)  # type: ignore[arg-type]


def run(
    folder: Path, engine: FakeEngine, patience: float = 30.0, retries: int = 0, **options: Any
) -> TaskRecord:
    with make_environment(folder, engine=engine, engine_patience=patience) as env:
        record = env.run(values={"a": 1, "b": 2}, retries=retries, **options)
        if isinstance(engine, Restarted):
            engine.forgets = False
    return record


def test_a_container_that_survives_a_restart_ends_normally(tmp_path: Path) -> None:
    record = run(tmp_path, Restarted(Exit(3)), patience=30)
    assert (record.cause, record.exit_code) == ("ENGINE_LOST", 3)
    good = run(tmp_path, Restarted(Exit(0)))
    assert good.exit_code == 0
    assert good.cause == "OUTPUTS_INVALID"


def test_an_engine_that_does_not_come_back_ends_the_task(tmp_path: Path) -> None:
    record = run(tmp_path, Restarted(Exit(0), away=10**6), patience=0)
    assert (record.state, record.cause) == (TaskState.FAILED, "ENGINE_LOST")
    assert "did not come back within 0 s: the connection broke" in record.message
    assert "start the engine" in record.remedy


def test_an_engine_that_comes_back_without_the_container_ends_the_task(tmp_path: Path) -> None:
    record = run(tmp_path, Restarted(Exit(0), away=0, forgets=True))
    assert (record.state, record.cause) == (TaskState.FAILED, "ENGINE_LOST")
    assert "the container is gone after an engine restart" in record.message


@pytest.mark.parametrize("forgets", [False, True])
def test_a_lost_container_runs_again_while_retries_are_left(tmp_path: Path, forgets: bool) -> None:
    record = run(tmp_path, Restarted(Exit(3), forgets=forgets), retries=2)
    assert (record.cause, record.exit_code) == ("EXIT_NONZERO", 3)
    assert record.run_plan.retries == 1
    assert record.warnings == ["the container was lost in an engine restart; running the task again"]
    assert [state for state, _ in record.history].count(TaskState.RUNNING) == 2


@pytest.mark.parametrize("shares_files", [False, True])
def test_a_retry_starts_without_the_outputs_of_the_lost_container(tmp_path: Path, shares_files: bool) -> None:
    starts: list[list[str]] = []

    def program(container: FakeContainer) -> Exit:
        folder = container.path(container.output_folder)
        starts.append([path.name for path in folder.iterdir()])
        (folder / "part").mkdir()
        (folder / "part/0").write_text("1")
        (folder / "link").symlink_to("part")
        return Exit(3)

    engine = Restarted(Exit(3))
    engine.program, engine.shares_files = program, shares_files
    record = run(tmp_path, engine, retries=1)
    assert (record.cause, starts) == ("EXIT_NONZERO", [[], []])


def test_a_retry_starts_with_the_inputs_as_they_were_submitted(tmp_path: Path) -> None:
    starts: list[dict[str, str]] = []

    def program(container: FakeContainer) -> Exit:
        folder = container.path("/inputs")
        starts.append({path.name: path.read_text() for path in sorted(folder.iterdir())})
        (folder / "a").write_text("changed")
        (folder / "new").write_text("new")
        return Exit(3)

    engine = Restarted(Exit(3))
    engine.program = program
    record = run(tmp_path, engine, retries=1, writable_inputs=True)
    assert starts == [{"a": "1", "b": "2"}] * 2
    assert not Path(record.folder, "inputs.submitted").exists()


@pytest.mark.parametrize(("code", "retries"), [(143, 0), (0, 0), (143, 1)])
def test_an_engine_that_shuts_down_is_the_cause_and_its_task_is_retried(
    tmp_path: Path, code: int, retries: int
) -> None:
    def program(container: FakeContainer) -> int:
        runs.append(container.handle)
        container.path("/outputs/sum").write_text("7")
        engine.shuts_down = len(runs) == 1
        return code if len(runs) == 1 else 0

    runs: list[str] = []
    engine = FakeEngine(program)
    real, asked = engine.is_stopped_by_shutdown, []

    def is_stopped_by_shutdown(handle: str, exit_: Exit) -> bool:
        asked.append(handle)
        engine.shuts_down = engine.shuts_down and len(asked) < 3  # it is back after a while
        return real(handle, exit_)

    engine.is_stopped_by_shutdown = is_stopped_by_shutdown  # type: ignore[method-assign]
    record = run(tmp_path, engine, retries=retries)
    if retries:
        assert (record.state, record.cause, len(runs)) == (TaskState.FINISHED, None, 2)
    else:
        assert (record.cause, record.exit_code) == ("ENGINE_LOST", code)


def test_an_engine_that_shuts_down_for_good_leaves_the_exit_code(tmp_path: Path) -> None:
    engine = FakeEngine(lambda container: 143)
    engine.shuts_down = True
    record = run(tmp_path, engine, patience=0)
    assert (record.cause, record.exit_code, record.signal) == ("ENGINE_LOST", 143, "SIGTERM")


class Stubborn(Restarted):
    """An engine that cannot remove a container at first."""

    refusals = 2

    def remove(self, handle: str) -> None:
        if self.refusals and self.broken.is_set():
            self.refusals -= 1
            raise EngineError("the device is busy")
        super().remove(handle)


def test_a_retry_removes_a_lost_container_that_could_not_be_removed_at_first(tmp_path: Path) -> None:
    engine = Stubborn(Exit(3))
    record = run(tmp_path, engine, retries=1)
    assert (record.cause, record.exit_code, engine.refusals) == ("EXIT_NONZERO", 3, 0)
    assert engine.find({LABEL_TASK: ""}) == []
    # the warning of the lost attempt is only in the events
    assert record.warnings == ["the container was lost in an engine restart; running the task again"]


# -- time limit ------------------------------------------------------------------------------------


class Stopped(FakeEngine):
    """An engine whose callers look at a container late, as a process does that was stopped for a while."""

    def __init__(self, seconds: float, code: int = 0) -> None:
        super().__init__(lambda container: Exit(code, started=1000.0, finished=1000.0 + seconds))
        self.looked = threading.Event()

    def wait(self, handle: str) -> Exit:
        found = super().wait(handle)
        self.looked.wait(60)  # until the time limit has been reached here
        return found

    def inspect(self, handle: str) -> ContainerStatus:
        super().wait(handle)
        status = super().inspect(handle)
        self.looked.set()
        return status


@pytest.mark.parametrize(("seconds", "cause"), [(0.02, "OUTPUTS_INVALID"), (7.0, "TIMEOUT")])
def test_a_task_timed_out_if_its_container_ran_longer_than_the_limit(
    tmp_path: Path, seconds: float, cause: str
) -> None:
    with make_environment(tmp_path, engine=Stopped(seconds)) as env:
        record = env.run(values={"a": 1, "b": 2}, timeout=0.05)
    assert (record.cause, record.exit_code) == (cause, 0)
    (step,) = [step for step in record.steps if step.name == "task"]
    assert step.seconds == pytest.approx(seconds)


def test_a_container_that_exceeds_its_limit_is_stopped_although_the_engine_failed_to_say_so_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localrun.runner.time_limit._RETRY_INTERVAL", 0.01)
    engine = FakeEngine(_wait_for_stop)
    real, errors = engine.inspect, [EngineUnreachable("nothing answers")]

    def inspect(handle: str) -> ContainerStatus:
        if errors:
            raise errors.pop()
        return real(handle)

    monkeypatch.setattr(engine, "inspect", inspect)
    with make_environment(tmp_path, engine=engine) as env:
        record = env.run(values={"a": 1, "b": 2}, timeout=0.05)
    assert (record.cause, record.exit_code, errors) == ("TIMEOUT", 0, [])


@pytest.mark.parametrize("offset", [0.0, 5000.0, -5000.0])
def test_a_request_to_stop_a_container_that_had_ended_changes_nothing(tmp_path: Path, offset: float) -> None:
    class Slow(FakeEngine):
        def wait(self, handle: str) -> Exit:
            found = super().wait(handle)
            task.cancel()
            return replace(found, finished=time.time() + offset - 10)

    engine = Slow(lambda container: 3, info=replace(INFO, clock_offset=offset))
    with make_environment(tmp_path, engine=engine) as env:
        task = env.submit(values={"a": 1, "b": 2})
        env.app.manager.wait(task)
    assert (task.record.cause, task.record.exit_code) == ("EXIT_NONZERO", 3)


def test_an_engine_that_does_not_come_back_is_not_retried(tmp_path: Path) -> None:
    record = run(tmp_path, Restarted(Exit(0), away=10**6), patience=0, retries=1)
    assert (record.cause, record.run_plan.retries) == ("ENGINE_LOST", 1)


def test_a_foreign_sigterm_is_not_a_lost_engine(tmp_path: Path) -> None:
    record = run(tmp_path, FakeEngine(lambda container: 143))
    assert (record.cause, record.signal) == ("SIGNAL", "SIGTERM")


@pytest.mark.parametrize("when", ["waiting", "away"])
def test_a_task_can_be_killed_while_the_engine_is_lost(tmp_path: Path, when: str) -> None:
    engine = Restarted(Exit(0), away=10**6) if when == "away" else FakeEngine(_wait_for_stop)
    with make_environment(tmp_path, engine=engine, engine_patience=30.0) as env:
        task = env.submit(values={"a": 1, "b": 2})
        if isinstance(engine, Restarted):
            assert engine.broken.wait(60)
            task.cancel()
            engine.away = 0
        else:
            env.app.manager.kill(task)
        record = env.app.manager.wait(task, 20)
    assert record is not None
    assert record.state is TaskState.KILLED


def _wait_for_stop(container: FakeContainer) -> int:
    container.stopped.wait()
    return 0


# -- the log ----------------------------------------------------------------------------------------


class SlowLog(FakeEngine):
    """An engine that sends the log slowly, after the container has ended."""

    def attach(self, handle: str) -> None:
        return None

    def logs(self, handle: str, *, follow: bool = True, tail: int | None = None) -> Iterator[LogChunk]:
        self.wait(handle)
        for chunk in super().logs(handle, follow=follow, tail=tail):
            time.sleep(0.02)
            yield chunk


def test_the_log_is_read_to_its_end_however_slow_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "_LOG_TIMEOUT", 0.1)

    def program(container: FakeContainer) -> int:
        for number in range(20):
            container.stdout.write(f"{number}\n")
        container.stderr.write("the reason\n")
        return 3

    record = run(tmp_path, SlowLog(program), patience=0)
    log = (Path(record.folder) / "logs/task.log").read_text()
    assert log == "".join(f"{number}\n" for number in range(20)) + "the reason\n"
    assert record.message.endswith("the reason")
    assert record.warnings == []


class StuckLog(FakeEngine):
    """An engine that stops sending the log."""

    def __init__(self) -> None:
        super().__init__(lambda container: container.stdout.write("one\n") and 3)
        self.released = threading.Event()

    def attach(self, handle: str) -> None:
        return None

    def logs(self, handle: str, *, follow: bool = True, tail: int | None = None) -> Iterator[LogChunk]:
        yield from super().logs(handle, follow=False)
        self.released.wait(60)
        raise EngineError("the connection broke")

    def abandon(self, thread: int) -> None:
        self.released.set()


def test_a_log_that_the_engine_does_not_send_is_given_up_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "_LOG_TIMEOUT", 0.1)
    record = run(tmp_path, StuckLog(), patience=0)
    assert (record.cause, record.exit_code) == ("EXIT_NONZERO", 3)
    assert "the log may be incomplete: the engine sent nothing for 0.1 s" in record.warnings


def test_output_beyond_the_limit_is_a_warning_and_the_message_has_the_true_end(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        for _ in range(40):
            container.stdout.write("x" * 65_536)
        container.stdout.write("\nthe reason\n")
        return 3

    with make_environment(tmp_path, program, log_limit=4096) as env:
        record = env.run(values={"a": 1, "b": 2})
    log = (Path(record.folder) / "logs/task.log").read_bytes()
    assert log.startswith(b"x" * 4096)
    assert b"\n[localrun: 1.5 MiB of output omitted]\n" in log
    assert log.endswith(b"\nthe reason\n")
    assert record.message.endswith("the reason")
    assert [warning[:49] for warning in record.warnings] == [
        "the log is incomplete: 1.5 MiB of output omitted "
    ]


def test_the_log_of_a_retry_does_not_contain_the_lost_container(tmp_path: Path) -> None:
    engine = Restarted(Exit(3), forgets=True)
    attempts = iter(("first\n", "second\n"))

    def program(container: FakeContainer) -> Exit:
        container.stdout.write(next(attempts))
        return Exit(3)

    engine.program = program
    record = run(tmp_path, engine, retries=1)
    assert (Path(record.folder) / "logs/task.log").read_text() == "second\n"
