import uuid
from datetime import datetime

import pytest

from modules.task import TaskManager as ExportedManager
from modules.task.handler import TaskManager
from modules.task.handler import task_manager as global_manager
from modules.task.models import TaskRequest, TaskRequestFromRay, TaskResponse, TaskStatus


def test_manager_starts_empty(task_manager):
    assert task_manager.active_tasks == []
    assert task_manager.completed_tasks == []
    assert type(task_manager.active_tasks) is list
    assert task_manager.get_status() == {
        "active_tasks_count": 0,
        "completed_tasks_count": 0,
        "total_tasks_processed": 0,
    }


def test_names():
    assert ExportedManager is TaskManager
    assert isinstance(global_manager, TaskManager)
    with pytest.raises(ImportError):
        from modules.task.handler import TaskHandler  # noqa: F401


def test_managers_are_independent(task_manager, sample_request):
    task_manager.create_task(sample_request)
    assert TaskManager().active_tasks == []


def test_create(task_manager, sample_request, sample_task_data):
    made = task_manager.create_task(sample_request)
    assert isinstance(made, TaskRequest)
    assert uuid.UUID(made.task_id).version == 4
    assert (made.task, made.assigned_by) == (sample_task_data, "ray")
    assert datetime.fromisoformat(made.timestamp).tzinfo is not None
    assert task_manager.active_tasks == [made]
    assert made in task_manager.active_tasks


def test_create_from_two_values(task_manager):
    made = task_manager.create_task({"n": 1}, "eve", None)
    assert (made.task, made.assigned_by) == ({"n": 1}, "eve")
    assert task_manager.create_task({}, "eve", batch_id="b1").batch_id == "b1"


def test_get(task_manager, sample_request):
    made = task_manager.create_task(sample_request)
    assert task_manager.get_task(made.task_id) == made
    assert task_manager.get_task("unknown") is None


def test_active_tasks_are_copied_and_in_order(task_manager):
    made = [task_manager.create_task({"n": n}, "ray") for n in range(3)]
    found = task_manager.get_all_active_tasks()
    assert found == made
    assert found is not task_manager.active_tasks
    found.clear()
    assert len(task_manager.active_tasks) == 3


def test_lists_can_be_cleared(task_manager, sample_request):
    task_manager.create_task(sample_request)
    task_manager.active_tasks.clear()
    assert task_manager.get_all_active_tasks() == []


def test_assignee(task_manager):
    for name in ("ray", "eve", "ray"):
        task_manager.create_task(TaskRequestFromRay(task={}, assigned_by=name))
    assert [task.assigned_by for task in task_manager.get_tasks_by_assignee("ray")] == ["ray", "ray"]
    assert task_manager.get_tasks_by_assignee("nobody") == []


def test_complete(task_manager, sample_request, sample_task_data):
    made = task_manager.create_task(sample_request)
    ended = task_manager.complete_task(made.task_id, {"insight": "rest"})
    assert isinstance(ended, TaskResponse)
    assert ended.status == TaskStatus.COMPLETED
    assert (ended.task_id, ended.task, ended.result) == (made.task_id, sample_task_data, {"insight": "rest"})
    assert task_manager.get_task(made.task_id) is None
    assert (task_manager.active_tasks, task_manager.completed_tasks) == ([], [ended])


def test_complete_without_a_result(task_manager, sample_request):
    made = task_manager.create_task(sample_request)
    assert task_manager.complete_task(made.task_id).result == {}


def test_complete_unknown_and_twice(task_manager, sample_request):
    assert task_manager.complete_task("unknown") is None
    made = task_manager.create_task(sample_request)
    task_manager.complete_task(made.task_id)
    assert task_manager.complete_task(made.task_id) is None
    assert len(task_manager.completed_tasks) == 1


def test_status_counts(task_manager):
    first = task_manager.create_task({}, "ray")
    task_manager.create_task({}, "ray")
    task_manager.complete_task(first.task_id)
    assert task_manager.get_status() == {
        "active_tasks_count": 1,
        "completed_tasks_count": 1,
        "total_tasks_processed": 2,
    }


def test_global_manager(sample_request):
    global_manager.active_tasks.clear()
    global_manager.completed_tasks.clear()
    made = global_manager.create_task(sample_request)
    assert global_manager.active_tasks == [made]
    assert global_manager.get_status()["active_tasks_count"] == 1
    ended = global_manager.complete_task(made.task_id, {"ok": True})
    assert (ended.status, ended.result) == (TaskStatus.COMPLETED, {"ok": True})
    assert global_manager.get_task(made.task_id) is None
    assert global_manager.complete_task(made.task_id) is None
    assert global_manager.completed_tasks == [ended]
    assert global_manager.get_status()["total_tasks_processed"] == 1
