"""What a task is: the request for it, its record, and the states and words of its life."""

from localrun.platforms.vocabulary.task_system import STATUSES as TASK_STATUSES
from localrun.server.schemas import Submission as TaskRequestFromRay
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState

__all__ = ["TASK_STATUSES", "TaskRecord", "TaskRequestFromRay", "TaskState"]
