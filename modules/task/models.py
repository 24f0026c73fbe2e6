"""The models of a task: request, response, log and queue, states and status words."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from localrun.platforms.vocabulary.task_system import STATUSES as TASK_STATUSES
from localrun.server.schemas import Submission as TaskRequestFromRay
from localrun.server.task_system.models import EndedTask as TaskResponse
from localrun.server.task_system.models import TaskRequest, TaskStatus, TaskType, new_id
from localrun.server.timestamps import now
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState

__all__ = [
    "TASK_STATUSES",
    "TaskLog",
    "TaskQueue",
    "TaskRecord",
    "TaskRequest",
    "TaskRequestFromRay",
    "TaskResponse",
    "TaskState",
    "TaskStatus",
    "TaskType",
]


class TaskLog(BaseModel):
    """An event of a task. `timestamp` is ISO 8601 in UTC."""

    task_id: str
    event: str
    timestamp: str = Field(default_factory=now)
    details: dict[str, Any] | None = None
    message: str | None = None


class TaskQueue(BaseModel):
    """Tasks to process one after the other. localrun does not process it; it is for projects."""

    queue_id: str = Field(default_factory=new_id)
    tasks: list[TaskRequest] = Field(default_factory=list)
    current_task_index: int = 0
    created_at: str = Field(default_factory=now)
    status: TaskStatus = TaskStatus.RECEIVED
