from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from localrun.manager.registry import TaskRegistry
from localrun.manager.workers import Workers
from localrun.task.active import ActiveTask
from localrun.task.lock import acquire
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.support.full_disk import fail_next_write


def make(tmp_path: Path) -> tuple[Workers, TaskRegistry, ActiveTask, Path]:
    workspace = TaskStore(tmp_path).create()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle=""), workspace)
    task.create()
    tasks = TaskRegistry(10)
    return Workers(tasks), tasks, task, tmp_path / "claim"


def test_a_task_is_carried_until_it_was_let_go_of(tmp_path: Path) -> None:
    crew, tasks, task, path = make(tmp_path)
    claim, go = acquire(path, new=True), threading.Event()
    assert claim is not None

    def way() -> None:
        go.wait(60)
        task.transition(TaskState.KILLED)

    crew.run(task, claim, way)
    assert crew.is_running(task)
    assert not crew.wait(task, 0)
    go.set()
    assert crew.wait(task, 60)
    assert not crew.is_running(task)
    assert (tasks.counts(), path.exists()) == ((0, 1), False)


def test_a_task_whose_way_breaks_is_free_for_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: queue.Queue[type[BaseException]] = queue.Queue()
    monkeypatch.setattr(threading, "excepthook", lambda hook: broken.put(hook.exc_type))
    crew, tasks, task, path = make(tmp_path)
    claim = acquire(path, new=True)
    assert claim is not None

    def way() -> None:
        raise ZeroDivisionError

    crew.run(task, claim, way)
    crew.wait(task, 60)
    assert broken.get(timeout=60) is ZeroDivisionError
    again = acquire(path)
    assert again is not None
    again.release(ended=True)
    assert tasks.counts() == (0, 0)


def test_a_task_whose_end_could_not_be_written_down_is_ended_by_the_next_process(tmp_path: Path) -> None:
    crew, tasks, task, path = make(tmp_path)
    claim = acquire(path, new=True)
    assert claim is not None

    def way() -> None:
        fail_next_write(task.workspace.path / "task.json")
        task.transition(TaskState.KILLED)

    crew.run(task, claim, way)
    assert crew.wait(task, 60)
    assert tasks.counts() == (0, 1)
    again = acquire(path)
    assert again is not None
    again.release(ended=True)


def test_an_end_without_a_thread_that_could_not_be_saved_keeps_the_task_active(tmp_path: Path) -> None:
    crew, _, task, path = make(tmp_path)
    claim = acquire(path, new=True)
    assert claim is not None
    fail_next_write(task.workspace.path / "task.json")
    assert crew.end(task, claim, TaskState.KILLED)
    again = acquire(path)
    assert again is not None
    again.release(ended=True)
