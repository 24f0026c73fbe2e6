"""Ctrl+C during a wait: one line that says how to resume."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest

import localrun
from localrun.api import handle, interruption, wait
from tests.api.test_task import env_of, hang, submit
from tests.conftest import ROOT
from tests.support.environment import Environment

_SCRIPT = """
from pathlib import Path
import localrun
from tests.api.test_task import env_of, hang, submit
from tests.support.ctrl_c import pressed_in

with env_of(Path({folder!r}), hang) as env:
    task = submit(env)
    task.wait_for("RUNNING")
    with pressed_in("wait_until_done"):
        {wait}
"""


def interrupted(wait: str, folder: Path) -> str:
    """Run a script that gets Ctrl+C while it waits; return its last words."""
    code = _SCRIPT.format(folder=str(folder), wait=wait)
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )
    assert ran.returncode == -signal.SIGINT
    return ran.stderr


def test_a_script_ends_with_one_line_that_says_how_to_resume(tmp_path: Path) -> None:
    line = interrupted("task.wait()", tmp_path)
    assert line.count("\n") == 1
    assert line.startswith("KeyboardInterrupt: stopped waiting; task ")
    assert f" continues; wait again: `localrun --home {tmp_path}/.localrun wait " in line


def test_a_task_that_is_stopped_is_not_said_to_continue(tmp_path: Path) -> None:
    line = interrupted(
        "localrun.run(env.bundle, use_image=env.image, home=env.app.settings.home, pull='never', a=1, b=2)",
        tmp_path,
    )
    assert line.count("\n") == 1
    assert " was stopped (KILLED); run it again: `localrun --home " in line


def ctrl_c(*_: Any) -> Any:
    raise KeyboardInterrupt


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """Return an environment whose waits are interrupted."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with env_of(tmp_path, hang) as made:
        monkeypatch.setenv("LOCALRUN_HOME", str(made.app.settings.home))
        yield made


def note(wait: Callable[[], Any]) -> str:
    with pytest.raises(KeyboardInterrupt) as caught:
        wait()
    (found,) = caught.value.__notes__
    return str(found)


def test_every_wait_adds_the_line_to_the_exception_for_notebooks(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = submit(env)
    task.wait_for("RUNNING")
    line = f"stopped waiting; task {task.id[:8]} continues; wait again: `localrun wait {task.id[:8]}`"
    with monkeypatch.context() as patch:
        patch.setattr(handle, "wait_until_done", ctrl_c)
        assert note(task.wait) == line
        patch.setattr(futures, "wait", ctrl_c)
        assert note(lambda: task.wait_for("FINISHED")) == line
        assert note(lambda: list(task.events())) == line
        assert note(lambda: task.wait(show=True)) == line
        patch.setattr(wait, "_next", ctrl_c)
        assert note(lambda: localrun.wait_all([task])) == line
    task.kill()
    with monkeypatch.context() as patch:
        patch.setattr(wait, "_next", ctrl_c)
        assert note(lambda: localrun.wait_all([task])) == "stopped waiting; all tasks have ended"


def test_the_line_of_multiple_tasks_names_all(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [submit(env) for _ in range(2)]
    monkeypatch.setattr(wait, "_next", ctrl_c)
    line = "stopped waiting; 2 tasks continue; wait again: `localrun wait --all`"
    assert note(lambda: localrun.wait_all(tasks)) == line


def test_a_deleted_task_is_not_said_to_continue(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    task = submit(env)
    task.wait_for("RUNNING")
    task.kill()
    end = task.left_line()
    assert end == f"stopped waiting; task {task.id[:8]} has ended (KILLED)"
    task.remove_remote_files()
    assert task.left_line() == f"stopped waiting; task {task.id[:8]} has ended (deleted)"


def test_other_exceptions_are_shown_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *found: shown.append(found))
    error = KeyboardInterrupt()
    interruption.explain(error, "line")
    interruption.explain(ValueError(), "line")
    for other in (ValueError("x"), KeyboardInterrupt()):
        sys.excepthook(type(other), other, None)
        assert shown.pop() == (type(other), other, None)
    sys.excepthook(KeyboardInterrupt, error, None)
    assert shown == []
