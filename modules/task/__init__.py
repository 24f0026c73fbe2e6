"""The task manager and the models under the import paths of the guide."""

from .handler import TaskManager, task_manager
from .models import (
    TaskLog,
    TaskQueue,
    TaskRequest,
    TaskRequestFromRay,
    TaskResponse,
    TaskStatus,
    TaskType,
)

__all__ = [
    "TaskLog",
    "TaskManager",
    "TaskQueue",
    "TaskRequest",
    "TaskRequestFromRay",
    "TaskResponse",
    "TaskStatus",
    "TaskType",
    "task_manager",
]
