"""The models of the Task System that `TaskManager` returns."""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from localrun.platforms.vocabulary.task_system import STATUSES
from localrun.server.task_models import Json
from localrun.server.timestamps import now, to_iso
from localrun.server.views import submitted_task
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState


class TaskStatus(StrEnum):
    """The status of a task."""

    RECEIVED = "received"
    PROCESSING = "processing"
    COMPLETED = "completed"
    ERROR = "error"
    CANCELLED = "cancelled"


class TaskType(StrEnum):
    """The kinds of tasks that the Task System names. localrun treats all of them alike."""

    REFLECT = "reflect"
    EVOLVE = "evolve"
    CONNECT = "connect"
    REMEMBER = "remember"
    CARE = "care"
    OBSERVE = "observe"
    RESPOND = "respond"
    GROW = "grow"


def new_id() -> str:
    return str(uuid.uuid4())


class TaskRequest(BaseModel):
    """An active task. `timestamp` is the time of its creation, ISO 8601 in UTC."""

    model_config = ConfigDict(extra="allow")

    task_id: str = Field(default_factory=new_id)
    task: Json
    assigned_by: str
    timestamp: str = Field(default_factory=now)


class EndedTask(BaseModel):
    """A task that has ended; the Task System's `TaskResponse`.

    Times are ISO 8601 in UTC. `result` is what it was completed with, or the outputs of its container.
    """

    model_config = ConfigDict(title="TaskResponse")

    task_id: str
    status: TaskStatus
    timestamp: str = Field(default_factory=now)
    assigned_by: str
    task: Json
    result: Json | None = None
    error_message: str | None = None
    processing_time_ms: int | float | None = None
    started_at: str | None = None
    completed_at: str | None = None


def to_request(record: TaskRecord) -> TaskRequest:
    """Return the request of a task."""
    return TaskRequest(
        task_id=record.id,
        task=submitted_task(record),
        assigned_by=record.assigned_by,
        timestamp=to_iso(record.created),
    )


def to_ended(record: TaskRecord) -> EndedTask:
    """Return the response of a task that has ended."""
    started = next((when for state, when in record.history if state is TaskState.RUNNING), None)
    ended = record.ended
    status = TaskStatus(STATUSES[record.state])
    result: dict[str, Any] | None = record.result if record.kind == "manual" else dict(record.outputs)
    return EndedTask(
        **to_request(record).model_dump(),
        status=status,
        result=result,
        error_message=None if status is TaskStatus.COMPLETED else record.message or record.cause,
        processing_time_ms=None if ended is None else round((ended - record.created) * 1000, 3),
        started_at=None if started is None else to_iso(started),
        completed_at=None if ended is None else to_iso(ended),
    )
