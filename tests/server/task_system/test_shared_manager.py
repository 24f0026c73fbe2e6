from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.app import App
from localrun.server.task_system.models import TaskRequest
from localrun.server.task_system.shared_manager import SharedTaskManager
from tests.support.environment import Environment, make_environment
from tests.support.server_client import add


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    with make_environment(tmp_path, add, logs=tmp_path / "logs") as env:
        yield env


def test_it_shows_the_tasks_of_the_app_whoever_creates_them(env: Environment) -> None:
    shared = SharedTaskManager(env.app)
    made = shared.create_task({"n": 1}, "ray")
    other = env.app.manager.create_task({"n": 2}, "eve")
    run = env.run(values={"a": 3, "b": 4})
    assert [task.task_id for task in shared.active_tasks] == [made.task_id, other.id]
    assert [(ended.task_id, ended.result) for ended in shared.completed_tasks] == [(run.id, {"sum": 7})]
    assert shared.get_status()["total_tasks_processed"] == 3
    found = env.app.manager.find_task(made.task_id)
    assert found is not None
    assert found.submitted == {"n": 1}


def test_its_lists_are_the_same_objects_and_what_is_removed_stays_away(env: Environment) -> None:
    shared = SharedTaskManager(env.app)
    shared.complete_task(shared.create_task({}, "ray").task_id)
    shared.create_task({}, "ray")
    active, completed = shared.active_tasks, shared.completed_tasks
    active.clear()
    completed.clear()
    made = shared.create_task({}, "eve")
    assert shared.active_tasks is active == [made]
    assert shared.completed_tasks is completed == []
    assert shared.get_status() == {
        "active_tasks_count": 1,
        "completed_tasks_count": 0,
        "total_tasks_processed": 1,
    }
    foreign = TaskRequest(task={}, assigned_by="bob")
    active.append(foreign)
    shared.complete_task(made.task_id)
    assert shared.active_tasks == [foreign]


def test_tasks_of_an_earlier_process_are_listed(env: Environment) -> None:
    before = SharedTaskManager(env.app)
    ended, active = before.create_task({}, "ray"), before.create_task({}, "ray")
    before.complete_task(ended.task_id, {"n": 1})
    again = App(env.app.settings, env.engine)
    again.manager.recover()
    shared = SharedTaskManager(again)
    assert shared.active_tasks == [active]
    assert [task.result for task in shared.completed_tasks] == [{"n": 1}]


def test_the_end_of_an_unknown_task_is_an_error_in_the_journal(env: Environment) -> None:
    shared = SharedTaskManager(env.app)
    made = shared.create_task({}, "ray")
    assert shared.complete_task("unknown") is None
    shared.complete_task(made.task_id)
    lines = (env.app.settings.logs / "heartbeat_detailed.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["event_type"] for line in lines]
    assert [kind for kind in kinds if kind in ("task_created", "task_error", "task_completed")] == [
        "task_created",
        "task_error",
        "task_completed",
    ]
