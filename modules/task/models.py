"""The models of a task: request, record, states and status words."""

from localrun.platforms.vocabulary.task_system import STATUSES as TASK_STATUSES
from localrun.server.schemas import Submission as TaskRequestFromRay
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState

__all__ = ["TASK_STATUSES", "TaskRecord", "TaskRequestFromRay", "TaskState"]
