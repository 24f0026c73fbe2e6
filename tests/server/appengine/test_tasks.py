"""Section by section: the addresses of tasks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app_engine_client import AppEngineEnvironment, serve_app_engine
from tests.support.environment import DESCRIPTOR
from tests.support.server_client import add


@pytest.fixture
def env(tmp_path: Path) -> Iterator[AppEngineEnvironment]:
    with serve_app_engine(tmp_path, add) as env:
        yield env


def test_an_uploaded_task_is_described_with_an_id(env: AppEngineEnvironment) -> None:
    task = env.upload()
    assert str(uuid.UUID(task["id"])) == task["id"]
    author = {
        "firstName": "A",
        "lastName": "B",
        "organization": "C",
        "email": "a@example.com",
        "isContact": True,
    }
    assert task == {
        "id": task["id"],
        "name": "Add integers",
        "namespace": "com.example.add",
        "version": "1.0.0",
        "description": None,
        "authors": [author],
    }
    assert env.get("tasks").json() == [task]
    assert env.get(f"tasks/{task['id']}").json() == task
    assert env.get("tasks/com.example.add/1.0.0").json() == task


def test_a_run_is_created_and_is_a_task_of_localrun(env: AppEngineEnvironment) -> None:
    task = env.upload()
    run = env.create_run(task)
    assert run == {"id": run["id"], "task": task, "state": "CREATED"}
    record = env.client.get(f"/task/{run['id']}").json()["task"]
    assert (record["state"], record["name"]) == ("CREATED", "Add integers")
    assert env.get("tasks/com.example.add/1.0.0/runs").json() == [run]


def test_a_held_task_starts_on_request(env: AppEngineEnvironment) -> None:
    run = env.create_run(env.upload())["id"]
    manager = env.service.manager
    assert manager.held.note(run, ["b"], {"a": 3}).state == "CREATED"
    assert manager.held.note(run, [], {"a": 3, "b": 4}).state == "PROVISIONED"
    manager.held.start(run, {"a": 3, "b": 4})
    record = manager.wait_for(run, 30)
    assert record is not None
    assert (record.state, record.outputs, record.inputs) == ("FINISHED", {"sum": 7}, {"a": 3, "b": 4})
    assert DESCRIPTOR.encode() == env.get("tasks/com.example.add/1.0.0/descriptor.yml").content
