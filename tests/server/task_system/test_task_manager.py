from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import localrun
from localrun.engines.fake import FakeContainer
from localrun.errors import InputsError, UsageError
from localrun.manager.manager import Manager
from localrun.server.task_system.models import EndedTask
from localrun.task.states import TaskState
from tests.support.environment import Environment, make_environment
from tests.support.server_client import add


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    monkeypatch.chdir(tmp_path)
    with make_environment(tmp_path, add, logs=tmp_path / "logs") as env, localrun.using(env.app):
        yield env


def bundle(env: Environment, **inputs: int) -> dict[str, object]:
    return {"bundle": str(env.bundle), "image": env.image, "inputs": inputs}


def test_a_task_with_a_bundle_runs_in_a_container_and_moves_when_it_has_ended(env: Environment) -> None:
    manager = localrun.TaskManager()
    made = manager.create_task(bundle(env, a=3, b=4), "ray")
    localrun.Task(made.task_id).wait()
    (ended,) = manager.completed_tasks
    assert (ended.task_id, ended.status, ended.result) == (made.task_id, "completed", {"sum": 7})
    assert ended.started_at is not None
    assert ended.completed_at is not None
    assert (manager.active_tasks, manager.get_task(made.task_id)) == ([], None)
    assert manager.get_status() == {
        "active_tasks_count": 0,
        "completed_tasks_count": 1,
        "total_tasks_processed": 1,
    }
    assert localrun.TaskManager().completed_tasks == []


def test_a_failed_container_is_an_error_with_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: FakeContainer) -> int:
        return 3

    monkeypatch.chdir(tmp_path)
    with make_environment(tmp_path, fail) as env, localrun.using(env.app):
        manager = localrun.TaskManager()
        task = localrun.Task(manager.create_task(bundle(env, a=3, b=4), "ray").task_id)
        assert task.wait() is TaskState.FAILED
        (ended,) = manager.completed_tasks
        assert ended.status == "error"
        assert "3" in (ended.error_message or "")


def test_an_invalid_task_with_a_container_is_refused_and_not_listed(env: Environment) -> None:
    manager = localrun.TaskManager()
    with pytest.raises(InputsError):
        manager.create_task(bundle(env, a=3), "ray")
    with pytest.raises(UsageError, match="invalid task"):
        manager.create_task({"bundle": str(env.bundle), "wrong": 1}, "ray")
    assert manager.active_tasks == []


def test_a_client_does_not_complete_a_task_with_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proceed = threading.Event()

    def wait(container: FakeContainer) -> int:
        proceed.wait(60)
        return add(container)

    monkeypatch.chdir(tmp_path)
    with make_environment(tmp_path, wait) as env, localrun.using(env.app):
        _complete_while_it_runs(env, proceed)


def _complete_while_it_runs(env: Environment, proceed: threading.Event) -> None:
    manager = localrun.TaskManager()
    made = manager.create_task(bundle(env, a=1, b=2), "ray")
    with pytest.raises(UsageError, match="ends with its container"):
        manager.complete_task(made.task_id)
    proceed.set()
    localrun.Task(made.task_id).wait()
    assert manager.complete_task(made.task_id) is None


def test_an_id_is_used_once() -> None:
    manager = localrun.TaskManager()
    manager.create_task({}, "ray", task_id="mine")
    with pytest.raises(UsageError, match="exists already"):
        manager.create_task({}, "ray", task_id="mine")


def test_the_lists_can_be_replaced() -> None:
    manager = localrun.TaskManager()
    ended = manager.complete_task(manager.create_task({}, "ray").task_id)
    made = manager.create_task({}, "ray")
    manager.active_tasks, manager.completed_tasks = [], []
    assert manager.get_status()["total_tasks_processed"] == 0
    manager.active_tasks, manager.completed_tasks = [made], [EndedTask.model_validate(ended)]
    assert manager.find_task(made.task_id) == made


def test_the_old_import_path_is_that_of_the_internal_manager() -> None:
    from localrun.manager import TaskManager
    from localrun.manager.manager import TaskManager as SameManager

    assert TaskManager is SameManager is Manager


@pytest.mark.docker
def test_an_image_runs_on_the_engine(tmp_path: Path, busybox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manager = localrun.TaskManager()
    task = {"image": busybox, "command": ["sh", "-c", "printf 7 > /outputs/n"], "outputs": {"n": "integer"}}
    made = manager.create_task({**task, "resources": {"memory": "32Mi"}}, "ray")
    localrun.Task(made.task_id).wait()
    assert [(ended.status, ended.result) for ended in manager.completed_tasks] == [("completed", {"n": 7})]
