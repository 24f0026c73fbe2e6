"""Waiting for many tasks at once."""

from __future__ import annotations

import asyncio
import sys
import threading
import types
from pathlib import Path

import pytest

import localrun
from localrun.engines.fake import FakeContainer
from localrun.task.states import TaskState
from tests.api.test_task import env_of, hang, submit
from tests.manager.test_recovery import abandoned, add
from tests.support.ctrl_c import pressed_in
from tests.support.environment import Environment

MANY = 101


def odd_fails(container: FakeContainer) -> int:
    return add(container) or int(container.path("/inputs/b").read_text()) % 2


def test_more_than_a_hundred_tasks_are_submitted_queue_and_end(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        tasks = [submit(env, b=number) for number in range(MANY)]
        assert localrun.wait_all(tasks, 100) == [TaskState.FINISHED] * MANY
        assert [task.outputs["sum"] for task in tasks] == [3 + number for number in range(MANY)]


def test_the_states_come_in_the_order_of_the_tasks(tmp_path: Path) -> None:
    with env_of(tmp_path, odd_fails) as env:
        tasks = [submit(env, b=number) for number in range(4)]
        assert localrun.wait_all(tasks) == ["FINISHED", "FAILED", "FINISHED", "FAILED"]


def test_no_tasks_are_waited_for_at_once() -> None:
    assert localrun.wait_all([]) == []


def test_a_task_may_be_named_twice(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        assert localrun.wait_all([task, localrun.Task(task.id, env.app.settings.home)]) == ["FINISHED"] * 2


def test_orphaned_tasks_are_resumed_in_parallel(tmp_path: Path) -> None:
    together = threading.Barrier(3)

    def program(container: FakeContainer) -> int:
        together.wait(60)
        return add(container)

    with env_of(tmp_path, program) as env:
        left = [abandoned(env, "QUEUING").id for _ in range(3)]
        tasks = [localrun.Task(task_id, env.app.settings.home) for task_id in left]
        assert localrun.wait_all(tasks, 60) == ["FINISHED"] * 3


def test_the_limit_is_one_for_all(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        tasks = [submit(env) for _ in range(2)]
        with pytest.raises(TimeoutError, match=r"2 tasks have not ended after 0\.05 s"):
            localrun.wait_all(tasks, 0.05)
        for task in tasks:
            task.kill()


def test_ctrl_c_ends_the_waiting_and_not_the_tasks(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        tasks = [submit(env) for _ in range(2)]
        for task in tasks:
            task.wait_for("RUNNING")
        with pressed_in("_next"), pytest.raises(KeyboardInterrupt):
            localrun.wait_all(tasks)
        assert [task.status for task in tasks] == ["RUNNING"] * 2
        for task in tasks:
            task.kill()


def test_one_line_shows_the_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with env_of(tmp_path, odd_fails) as env:
        localrun.wait_all([submit(env, b=number) for number in range(3)], progress=True)
    shown = capsys.readouterr()
    assert "3/3" in shown.err
    assert "1 not finished" in shown.err
    assert shown.out == ""


def test_nothing_is_shown_without_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with env_of(tmp_path) as env:
        localrun.wait_all([submit(env)])
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_a_notebook_is_shown_one_line_without_widgets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    with env_of(tmp_path, odd_fails) as env:
        localrun.wait_all([submit(env, b=number) for number in range(3)])
    err = capsys.readouterr().err
    shown = err.split("\r")
    assert (shown[1], shown[-1]) == ("tasks 0/3", "tasks 3/3, 1 not finished\n")
    assert err.count("\n") == 1


def test_a_cell_of_a_notebook_runs_in_an_event_loop(tmp_path: Path) -> None:
    async def cell(env: Environment) -> list[TaskState]:
        return localrun.wait_all([submit(env, b=number) for number in range(3)])

    with env_of(tmp_path) as env:
        assert asyncio.run(cell(env)) == ["FINISHED"] * 3
