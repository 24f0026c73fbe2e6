from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localrun.app import App
from localrun.cli import exit_codes
from localrun.cli.context import CliContext
from localrun.cli.entry import commands
from localrun.console.display.replay import Replay
from localrun.engines.fake import FakeContainer
from localrun.manager.request import Request
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.store import TaskStore
from tests.cli.command import Command, Program, add
from tests.support.environment import IMAGE

TIME = 20  # maximum seconds of a test


class Elsewhere:
    """Another process that owns tasks in the same folder and engine."""

    def __init__(self, localrun: Command) -> None:
        folder = localrun.folder
        places: dict[str, Any] = {
            "home": folder / "home",
            "cache": folder / "cache",
            "ledger": folder / "ledger" / "l.json",
        }
        self.bundle = localrun.bundle
        self.app = localrun.app(Settings(**places))
        self._running: dict[str, threading.Event] = {}

    def submit(self, a: int = 3, b: int = 4, **options: Any) -> ActiveTask:
        request = Request(self.bundle, image=IMAGE, pull="never", values={"a": a, "b": b}, **options)
        running = threading.Event()
        task = self.app.manager.submit(
            request, lambda event: running.set() if event.data.get("state") == "RUNNING" else None
        )
        self._running[task.id] = running
        return task

    def begun(self) -> None:
        """Wait until all tasks run."""
        assert all(running.wait(TIME) for running in self._running.values())


@pytest.fixture
def elsewhere(localrun: Command) -> Iterator[Elsewhere]:
    made = Elsewhere(localrun)
    localrun.app = lambda settings: App(settings, Shared(made.app.engine))  # type: ignore[method-assign]
    yield made
    made.app.close()


class Shared:
    """An engine that is not closed with its app."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def close(self) -> None:
        """Ignore the call: another app owns the engine."""


class Gate:
    """Write a line, wait for the event, then add."""

    def __init__(self, then: Program = add) -> None:
        self.open = threading.Event()
        self._then = then

    def __call__(self, container: FakeContainer) -> Any:
        container.stdout.write("begun\n")
        while not self.open.wait(0.01):
            if container.stopped.is_set():
                return 143
        return self._then(container)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return an event that is set when a process waits for a task of another process."""
    waits, wait = threading.Event(), TaskStore.wait_released

    def tell(home: TaskStore, task_id: str) -> None:
        waits.set()
        wait(home, task_id)

    monkeypatch.setattr(TaskStore, "wait_released", tell)
    return waits


@contextmanager
def when(waited: threading.Event, do: Callable[[], None]) -> Iterator[None]:
    """Call a function as soon as a process waits."""

    def act() -> None:
        assert waited.wait(TIME)
        do()

    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fail(container: FakeContainer) -> int:
    container.stderr.write("".join(f"line {n}\n" for n in range(20)))
    return 3


# -- one task -----------------------------------------------------------------------------------------


def test_a_running_task_is_shown_as_run_shows_it(
    localrun: Command, elsewhere: Elsewhere, waited: threading.Event
) -> None:
    localrun.program = gate = Gate()
    task = elsewhere.submit()
    elsewhere.begun()
    with when(waited, gate.open.set):
        result = localrun("wait", task.id[:8])
    told = [line.partition("] ")[2] for line in result.err.splitlines()]
    assert result.code == 0
    assert result.out.splitlines()[0] == "output sum: 7"
    assert result.out.splitlines()[-1] == f"FINISHED {task.id}"
    words = [line.partition(" (")[0] for line in told if line.startswith(("step", "out"))]
    assert words == [
        "step permissions started",
        "step permissions finished",
        "step task started",
        "out | begun",
        "out | 3 + 4",
        "step task finished",
        "step outputs started",
        "step outputs finished",
    ]


def test_a_task_that_has_ended_is_shown_at_once(localrun: Command) -> None:
    localrun.run()
    result = localrun("wait", "last")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("output sum: 7\n")


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 1)])
def test_the_exit_code_is_that_of_the_task(localrun: Command, code: int, expected: int) -> None:
    localrun.program = lambda container: add(container) or code
    localrun.run()
    assert localrun("wait", "last").code == expected


def test_the_last_ten_lines_of_a_failed_task_are_shown(localrun: Command) -> None:
    localrun.program = fail
    localrun.run()
    result = localrun("wait", "last", "-q")
    assert "    line 19\n" in result.err
    assert "    line 10\n" in result.err
    assert "    line 9\n" not in result.err


def test_the_last_lines_are_shown_also_when_it_was_the_outputs_that_were_wrong(localrun: Command) -> None:
    def program(container: FakeContainer) -> int:
        fail(container)
        return 0

    localrun.program = program
    localrun.run()
    result = localrun("wait", "last", "-q")
    assert "OUTPUTS_INVALID" in result.err
    assert result.err.count("    line 19\n") == 1


def test_one_task_is_one_json_record(localrun: Command) -> None:
    localrun.run()
    assert localrun("wait", "last", "--json").json["outputs"] == {"sum": 7}


def test_quiet_shows_the_outputs_and_nothing_else(
    localrun: Command, elsewhere: Elsewhere, waited: threading.Event
) -> None:
    localrun.program = gate = Gate()
    elsewhere.submit()
    elsewhere.begun()
    with when(waited, gate.open.set):
        result = localrun("wait", "last", "-q")
    assert (result.code, result.out, result.err) == (0, "sum: 7\n", "")


def test_ctrl_c_ends_the_waiting_and_not_the_task(
    localrun: Command, elsewhere: Elsewhere, waited: threading.Event
) -> None:
    localrun.program = gate = Gate()
    task = elsewhere.submit()
    elsewhere.begun()
    with when(waited, press):
        result = localrun("wait", "last")
    assert result.code == 130
    assert f"stopped waiting; task {task.id[:8]} continues\n" in result.err
    assert f"localrun wait {task.id[:8]}" in result.err
    assert task.record.state == "RUNNING"
    gate.open.set()
    assert localrun("wait", "last", "-q").out == "sum: 7\n"


def test_the_waiting_has_a_limit_and_the_task_has_not(localrun: Command, elsewhere: Elsewhere) -> None:
    localrun.program = Gate()
    task = elsewhere.submit()
    elsewhere.begun()
    result = localrun("wait", "last", "--timeout", "50ms", "--json")
    assert (result.code, result.json["state"]) == (124, "RUNNING")
    assert f"task {task.id[:8]} has not ended after 0.05 s; task {task.id[:8]} continues" in result.err
    assert task.record.state == "RUNNING"


def test_a_task_whose_process_died_is_carried_on(localrun: Command, elsewhere: Elsewhere) -> None:
    elsewhere.app.manager.submit(
        Request(localrun.bundle, image=IMAGE, pull="never", values={"a": 3, "b": 4}, detached=True),
        start=False,
    )
    result = localrun("wait", "last")
    assert (result.code, result.out.splitlines()[0]) == (0, "output sum: 7")


def test_a_task_that_is_carried_on_here_is_left_to_the_next_one(
    localrun: Command, elsewhere: Elsewhere
) -> None:
    localrun.program = Gate()
    elsewhere.app.manager.submit(
        Request(localrun.bundle, image=IMAGE, pull="never", values={"a": 3, "b": 4}, detached=True),
        start=False,
    )
    result = localrun("wait", "last", "--timeout", "500ms")
    assert result.code == 124
    assert localrun("status", "last", "--json").json["state"] in ("QUEUED", "PENDING", "RUNNING")
    localrun("kill", "last", "--now")


def test_a_task_that_nobody_can_carry_on_is_told(localrun: Command) -> None:
    app = localrun.app(Settings(home=localrun.folder / "home"))
    app.manager.create_task({"any": "thing"})
    app.close()
    result = localrun("wait", "last")
    assert (result.code, "no process owns it" in result.err) == (2, True)


# -- several ------------------------------------------------------------------------------------------


def test_several_are_told_as_they_end_with_one_progress(localrun: Command, elsewhere: Elsewhere) -> None:
    ids = [elsewhere.submit(b=n).id for n in range(30)]
    result = localrun("wait", *ids)
    assert result.code == 0
    assert result.out.splitlines() == [f"{task_id[:8]} FINISHED" for task_id in ids]
    assert [line.partition("(")[2] for line in result.err.splitlines()] == [
        f"{n} of 30)" for n in range(1, 31)
    ]


def test_all_that_have_not_ended_can_be_waited_for(
    localrun: Command, elsewhere: Elsewhere, waited: threading.Event
) -> None:
    localrun.program = gate = Gate()
    tasks = [elsewhere.submit(b=n) for n in range(3)]
    elsewhere.begun()
    with when(waited, gate.open.set):
        found = localrun("wait", "--all", "--json").json
    assert {record["id"] for record in found} == {task.id for task in tasks}
    assert [record["state"] for record in found] == ["FINISHED"] * 3
    assert localrun("wait", "--all").err == "no active tasks in this folder\n"


def test_the_worst_end_of_several_is_the_exit_code_and_each_failure_is_told(localrun: Command) -> None:
    localrun.run()
    localrun.program = fail
    for _ in range(7):
        localrun.run()
    ids = [task["id"] for task in localrun("list", "--json").json]
    result = localrun("wait", *ids, "-q")
    assert result.code == 1
    assert result.err.count("FAILED (EXIT_NONZERO)") == 5
    assert "2 more did not finish; see `localrun list`" in result.err


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 1, 5], 5), ([130, 1], 1), ([130, 124, 0], 124), ([0, 130], 130), ([], 0), ([0, 3, 4], 4)],
)
def test_which_exit_code_is_worst(codes: list[int], expected: int) -> None:
    assert exit_codes.worst(codes) == expected


def test_every_exit_code_of_a_task_has_its_rank() -> None:
    for code in set(exit_codes._BY_CAUSE.values()):
        assert exit_codes.worst([0, code]) == code


def test_ctrl_c_leaves_all_of_several(
    localrun: Command, elsewhere: Elsewhere, waited: threading.Event
) -> None:
    localrun.program = Gate()
    tasks = [elsewhere.submit(b=n) for n in range(2)]
    elsewhere.begun()
    with when(waited, press):
        result = localrun("wait", *(task.id for task in tasks))
    assert result.code == 130
    assert "stopped waiting; 2 tasks continue\n" in result.err
    assert [task.record.state for task in tasks] == ["RUNNING"] * 2


def test_names_that_are_no_tasks_are_told_all_of_them(localrun: Command) -> None:
    localrun.run()
    result = localrun("wait", "last", "nope", "none")
    assert result.code == 2
    assert "no task 'nope'" in result.err
    assert "no task 'none'" in result.err
    assert localrun("wait").code == 2


# -- the replay ---------------------------------------------------------------------------------------


def test_a_long_log_is_shown_from_its_last_lines(localrun: Command) -> None:
    localrun.program = lambda container: container.stdout.write("".join(f"{n}\n" for n in range(1000))) and 1
    localrun.run()
    folder = Path(localrun("status", "last", "--json").json["folder"])
    app = localrun.app(Settings(home=localrun.folder / "home"))
    replay = Replay(app.store.open(folder.name))
    events = list(replay.new_events())
    app.close()
    text = "".join(event.data["text"] for event in events if event.kind == "log")
    assert text.splitlines() == [str(n) for n in range(950, 1000)]
    assert any("earlier output is omitted" in event.message for event in events)
    assert list(replay.new_events()) == []


def test_a_damaged_line_of_the_history_is_passed_over(localrun: Command) -> None:
    localrun.run()
    folder = Path(localrun("status", "last", "--json").json["folder"])
    with (folder / "events.jsonl").open("a") as history:
        history.write("{torn\n[]\n{}\n")
    app = localrun.app(Settings(home=localrun.folder / "home"))
    events = list(Replay(app.store.open(folder.name)).new_events())
    app.close()
    assert events[-1].data["state"] == "FINISHED"


def test_results_come_before_the_reason_of_a_failure(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    localrun.program = fail
    localrun.run()
    told: list[str] = []

    def write(_stream: object, text: str) -> bool:
        told.append(text)
        return True

    monkeypatch.setattr("localrun.console.streams.write", write)
    localrun("wait", "last")
    states = [index for index, text in enumerate(told) if text.startswith("FAILED ")]
    assert told[states[0]].startswith("FAILED ")
    assert "FAILED (EXIT_NONZERO)" in told[states[-1]]
    assert states[0] < states[-1]


@pytest.mark.parametrize("arguments", [["wait", "last"], ["logs", "last", "-f"], ["tail", "last", "-f"]])
def test_what_may_take_hours_lets_memory_be_cleared_up(localrun: Command, arguments: list[str]) -> None:
    localrun.run()
    called: list[bool] = []
    context = CliContext(make_app=localrun.app, on_imported=lambda: called.append(True))
    commands.main(["--home", str(localrun.folder / "home"), *arguments], obj=context, standalone_mode=False)
    assert called == [True]
