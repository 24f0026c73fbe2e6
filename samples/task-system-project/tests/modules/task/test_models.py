import uuid
from datetime import datetime

import pytest
from pydantic import BaseModel, ValidationError

from modules.task import models
from modules.task.models import (
    TaskLog,
    TaskQueue,
    TaskRequest,
    TaskRequestFromRay,
    TaskResponse,
    TaskStatus,
    TaskType,
)


def response(**fields):
    return TaskResponse(
        **{"task_id": "t1", "status": TaskStatus.COMPLETED, "assigned_by": "ray", "task": {}, **fields}
    )


@pytest.mark.parametrize(
    "name", ["TaskRequestFromRay", "TaskRequest", "TaskResponse", "TaskLog", "TaskQueue"]
)
def test_models_are_pydantic_classes(name):
    assert issubclass(getattr(models, name), BaseModel)


def test_statuses():
    assert {status.value for status in TaskStatus} == {
        "received",
        "processing",
        "completed",
        "error",
        "cancelled",
    }
    assert TaskStatus("received") is TaskStatus.RECEIVED
    assert TaskStatus.ERROR == "error"


def test_types():
    assert [kind.value for kind in TaskType] == [
        "reflect",
        "evolve",
        "connect",
        "remember",
        "care",
        "observe",
        "respond",
        "grow",
    ]
    with pytest.raises(ValueError):
        TaskType("sleep")


def test_request_from_ray():
    request = TaskRequestFromRay(task={"type": TaskType.CARE}, assigned_by="ray")
    assert request.task["type"] == "care"
    assert request == TaskRequestFromRay(task={"type": "care"}, assigned_by="ray")


@pytest.mark.parametrize(
    "fields", [{}, {"task": {}}, {"assigned_by": "ray"}, {"task": [], "assigned_by": "r"}]
)
def test_request_from_ray_needs_its_fields(fields):
    with pytest.raises(ValueError):
        TaskRequestFromRay(**fields)


def test_request_gets_an_id_and_a_time():
    first, second = (TaskRequest(task={}, assigned_by="ray") for _ in range(2))
    assert uuid.UUID(first.task_id).version == 4
    assert first.task_id != second.task_id
    assert datetime.fromisoformat(first.timestamp).utcoffset().total_seconds() == 0


def test_request_keeps_a_given_id():
    request = TaskRequest(
        task_id="mine", task={"a": 1}, assigned_by="ray", timestamp="2025-07-26T21:00:00+00:00"
    )
    assert request.model_dump() == {
        "task_id": "mine",
        "task": {"a": 1},
        "assigned_by": "ray",
        "timestamp": "2025-07-26T21:00:00+00:00",
    }
    assert TaskRequest.model_validate_json(request.model_dump_json()) == request


def test_request_without_a_task_is_an_error():
    with pytest.raises(ValidationError) as caught:
        TaskRequest(assigned_by="ray")
    assert caught.value.errors()[0]["loc"] == ("task",)


def test_response_is_empty_by_default():
    found = response()
    optional = ("result", "error_message", "processing_time_ms", "started_at", "completed_at")
    assert [getattr(found, name) for name in optional] == [None] * 5


def test_response_with_everything():
    found = response(
        status="error",
        result={"n": 1},
        error_message="no",
        processing_time_ms=150,
        started_at="2025-07-26T21:00:00+00:00",
        completed_at="2025-07-26T21:00:01+00:00",
    )
    assert found.status is TaskStatus.ERROR
    assert found.model_dump()["processing_time_ms"] == 150


@pytest.mark.parametrize("fields", [{"status": "done"}, {"task": None}, {"task_id": None}])
def test_response_with_an_invalid_field(fields):
    with pytest.raises(ValueError):
        response(**fields)


def test_log():
    log = TaskLog(task_id="t1", event="task_created")
    assert (log.details, log.message) == (None, None)
    assert datetime.fromisoformat(log.timestamp).tzinfo is not None
    with pytest.raises(ValueError):
        TaskLog(event="task_created")


def test_queue():
    queue = TaskQueue()
    assert (queue.tasks, queue.current_task_index, queue.status) == ([], 0, TaskStatus.RECEIVED)
    queue.tasks.append(TaskRequest(task={}, assigned_by="ray"))
    assert TaskQueue().tasks == []
    assert uuid.UUID(queue.queue_id)
