from __future__ import annotations

import os
import subprocess
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import main
from localrun.manager.manager import TaskManager


def make(client: TestClient, assigned_by: str = "ray") -> dict[str, Any]:
    response = client.post("/task", json={"task": {"type": "test"}, "assigned_by": assigned_by})
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def test_a_task_is_made(client: TestClient) -> None:
    found = make(client)
    assert found["status"] == "task_created"
    assert (found["task"], found["assigned_by"]) == ({"type": "test"}, "ray")
    assert uuid.UUID(found["task_id"]).version == 4
    assert datetime.fromisoformat(found["timestamp"]).tzinfo is not None


def test_the_smallest_request_of_the_guide_is_taken(client: TestClient) -> None:
    assert client.post("/task", json={"task": {}, "assigned_by": "test"}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"task": {}}, {"assigned_by": "ray"}])
def test_a_missing_field_is_422(client: TestClient, body: dict[str, Any]) -> None:
    response = client.post("/task", json=body)
    assert response.status_code == 422
    assert {item["type"] for item in response.json()["detail"]} == {"missing"}


def test_the_tasks_are_listed_in_the_order_they_were_made(client: TestClient) -> None:
    ids = [make(client)["task_id"] for _ in range(2)]
    found = client.get("/task/list").json()
    assert (found["status"], found["active_tasks_count"]) == ("success", 2)
    assert [task["task_id"] for task in found["active_tasks"]] == ids
    assert {"task_id", "task", "assigned_by", "timestamp"} <= set(found["active_tasks"][0])


def test_the_status_counts_one_more_after_a_task(client: TestClient) -> None:
    before = client.get("/task/status").json()["task_manager"]
    make(client)
    after = client.get("/task/status").json()
    assert after["status"] == "operational"
    assert after["task_manager"]["active_tasks_count"] == before["active_tasks_count"] + 1
    assert after["task_manager"]["total_tasks_processed"] == before["total_tasks_processed"] + 1


def test_a_task_is_shown_by_its_id(client: TestClient) -> None:
    task_id = make(client)["task_id"]
    found = client.get(f"/task/{task_id}").json()
    assert (found["status"], found["task"]["task_id"]) == ("success", task_id)


def test_an_unknown_task_is_404(client: TestClient) -> None:
    response = client.get("/task/unknown")
    assert (response.status_code, response.json()) == (404, {"detail": "Task unknown not found"})


def test_a_failure_of_the_manager_is_500_with_what_failed(
    client: TestClient, task_manager: TaskManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(task_manager, "create_task", fail)
    response = client.post("/task", json={"task": {}, "assigned_by": "ray"})
    assert (response.status_code, response.json()) == (500, {"detail": "Failed to create task: no room"})


def test_the_heartbeat_says_that_the_server_is_alive(client: TestClient) -> None:
    found = client.get("/heartbeat").json()
    assert (found["type"], found["status"]) == ("heartbeat", "alive")


def test_importing_the_application_leaves_no_trace(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", "from main import app; from modules.task import task_manager"],
        env={**os.environ, "PYTHONPATH": str(Path(main.__file__).parent)},
        cwd=tmp_path,
        check=False,
    )
    assert (found.returncode, list(tmp_path.iterdir())) == (0, [])
