from unittest.mock import MagicMock, patch

import pytest
from fastapi.testclient import TestClient

from modules.task.handler import task_manager as global_manager
from modules.task.models import TaskRequest, TaskRequestFromRay, TaskResponse

BODY = {"task": {"type": "observe"}, "assigned_by": "ray"}
BROKEN = Exception("Database error")


def test_create(client):
    answer = client.post("/task", json=BODY)
    assert answer.status_code == 200
    data = answer.json()
    assert (data["status"], data["task"], data["assigned_by"]) == ("task_created", BODY["task"], "ray")
    assert data["message"] == f"Task {data['task_id']} created and added to global task list"
    assert global_manager.get_task(data["task_id"]).task == BODY["task"]


@pytest.mark.parametrize(
    "body", [{}, {"task": {}}, {"assigned_by": "ray"}, {"task": None, "assigned_by": "r"}]
)
def test_create_with_an_invalid_body(client, mock_manager, body):
    assert client.post("/task", json=body).status_code == 422
    mock_manager.create_task.assert_not_called()


def test_create_calls_the_manager_with_the_request(client, mock_manager):
    mock_manager.create_task.return_value = TaskRequest(task_id="t1", **BODY)
    data = client.post("/task", json=BODY).json()
    assert data["task_id"] == "t1"
    mock_manager.create_task.assert_called_once_with(TaskRequestFromRay(**BODY))


def test_create_fails(client, mock_manager):
    mock_manager.create_task.side_effect = BROKEN
    answer = client.post("/task", json=BODY)
    assert answer.status_code == 500
    assert answer.json()["detail"] == "Failed to create task: Database error"


def test_list(client, routed_manager):
    made = [client.post("/task", json=BODY).json()["task_id"] for _ in range(2)]
    data = client.get("/task/list").json()
    assert (data["status"], data["active_tasks_count"]) == ("success", 2)
    assert [task["task_id"] for task in data["active_tasks"]] == made
    assert [task.task_id for task in routed_manager.active_tasks] == made


def test_list_of_a_mock(client, mock_manager):
    task = TaskRequest(task_id="t1", **BODY)
    mock_manager.get_all_active_tasks.return_value = [task]
    data = client.get("/task/list").json()
    assert (data["active_tasks_count"], data["active_tasks"]) == (1, [task.model_dump()])
    mock_manager.get_all_active_tasks.return_value = []
    assert client.get("/task/list").json()["active_tasks"] == []


def test_list_fails(client, mock_manager):
    mock_manager.get_all_active_tasks.side_effect = BROKEN
    answer = client.get("/task/list")
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("Failed to get task list")


def test_get(client, mock_manager):
    task = TaskRequest(task_id="t1", **BODY)
    mock_manager.get_task.return_value = task
    data = client.get("/task/t1").json()
    assert (data["status"], data["task"]) == ("success", task.model_dump())
    mock_manager.get_task.assert_called_once_with("t1")


def test_get_of_a_mock_with_everything(client, mock_manager):
    ended = TaskResponse(task_id="t1", status="error", error_message="no", **BODY)
    mock_manager.get_task.return_value = ended
    assert client.get("/task/t1").json()["task"] == ended.model_dump(mode="json")
    fields = {"task_id": "t2", "timestamp": "2025-07-26T21:00:00+00:00", **BODY}
    mock_manager.get_task.return_value = MagicMock(**fields)
    assert client.get("/task/t2").json()["task"] == fields


def test_the_application_starts_and_stops(routed_manager):
    from main import app

    with TestClient(app) as client:
        task_id = client.post("/task", json=BODY).json()["task_id"]
        assert client.get(f"/task/{task_id}").status_code == 200


@pytest.mark.parametrize("spec", [None, type(global_manager)])
def test_get_unknown(client, spec):
    manager = MagicMock(spec=spec)
    manager.get_task.return_value = None
    with patch("modules.routes.task_routes.task_manager", manager):
        answer = client.get("/task/t1")
    assert answer.status_code == 404
    assert "not found" in answer.json()["detail"]


def test_get_fails(client, mock_manager):
    mock_manager.get_task.side_effect = BROKEN
    answer = client.get("/task/t1")
    assert (answer.status_code, answer.json()["detail"]) == (500, "Failed to get task: Database error")


def test_get_after_completion(client, routed_manager):
    task_id = client.post("/task", json=BODY).json()["task_id"]
    routed_manager.complete_task(task_id, {"n": 1})
    found = client.get(f"/task/{task_id}").json()["task"]
    assert (found["status"], found["result"]) == ("completed", {"n": 1})


def test_status(client, mock_manager):
    counts = {"active_tasks_count": 5, "completed_tasks_count": 10, "total_tasks_processed": 15}
    mock_manager.get_status.return_value = counts
    data = client.get("/task/status").json()
    assert (data["status"], data["task_manager"]) == ("operational", counts)


def test_status_fails(client, mock_manager):
    mock_manager.get_status.side_effect = BROKEN
    answer = client.get("/task/status")
    assert (answer.status_code, answer.json()["detail"]) == (500, "Failed to get status: Database error")


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("get_all_active_tasks", "/task/list", "Failed to get task list"),
        ("get_task", "/task/t1", "Failed to get task"),
        ("get_status", "/task/status", "Failed to get status"),
    ],
)
def test_a_method_of_the_global_manager_is_replaced(client, method, path, detail):
    with patch.object(global_manager, method, side_effect=BROKEN):
        answer = client.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (500, f"{detail}: Database error")


def test_the_status_counts_a_new_task(client):
    before = client.get("/task/status").json()["task_manager"]
    client.post("/task", json=BODY)
    after = client.get("/task/status").json()["task_manager"]
    assert after["active_tasks_count"] == before["active_tasks_count"] + 1
    assert after["total_tasks_processed"] == before["total_tasks_processed"] + 1


def test_heartbeat(client):
    data = client.get("/heartbeat").json()
    assert (data["type"], data["status"]) == ("heartbeat", "alive")
    assert "timestamp" in data
