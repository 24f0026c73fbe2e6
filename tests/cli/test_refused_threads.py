"""Threads that the system refuses to start, because of a limit on processes or memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localrun.cli.exit_codes import ExitCode
from localrun.manager import replicas
from localrun.task.store import TaskStore
from tests.cli.command import Command
from tests.support.environment import IMAGE

MOST = 40  # more threads than any of the commands starts

COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "-i", "a=3", "-i", "b=4", "--timeout", "60s"),
    "run --replicas": ("run", "-i", "a=3", "-i", "b=4", "--replicas", "2"),
    "batch": ("batch", "-i", "a=3", "--grid", "b=3,4", "--results", "results.csv"),
}

CODES = {
    ExitCode.FINISHED,
    ExitCode.TASK_FAILED,
    ExitCode.RESOURCES,
    ExitCode.NO_CONSENSUS,
    ExitCode.SOME_FAILED,
}


@contextmanager
def refused(number: int, *, all_later: bool) -> Iterator[list[str]]:
    """Refuse to start a thread by its number from 0, or also all later ones; yield the names of all."""
    start, names = threading.Thread.start, []

    def refuse(thread: threading.Thread) -> None:
        names.append(thread.name)
        if len(names) - 1 == number or (all_later and len(names) > number):
            raise RuntimeError("can't start new thread")
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield names


@pytest.mark.parametrize("all_later", [False, True], ids=["one", "all later"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_thread_that_cannot_start_is_a_lack_of_memory_and_leaves_nothing(
    command: str, all_later: bool, localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(localrun.folder)
    monkeypatch.setattr(replicas, "START_INTERVAL", 0.0)
    name, *arguments = COMMANDS[command]
    before = set(threading.enumerate())
    codes: set[int] = set()
    for number in range(MOST):
        with refused(number, all_later=all_later) as names:
            done = localrun(name, localrun.bundle, "--image", IMAGE, "--pull", "never", *arguments)
        if len(names) <= number:
            assert done.code == 0
            assert codes - {ExitCode.FINISHED}
            return
        codes.add(done.code)
        for thread in set(threading.enumerate()) - before:
            thread.join(20)
            assert not thread.is_alive(), thread
        assert done.code in CODES, done.err
        assert "bug in localrun" not in done.err
        assert TaskStore(localrun.folder / "home").active_ids() == []
        assert not [one for engine in localrun.engines for one in engine.find({})]
        Path("results.csv").unlink(missing_ok=True)
    raise AssertionError(f"{command} starts more than {MOST} threads: {names}")
