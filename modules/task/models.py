"""What a task is: the request for it, its record, and the states and words of its life."""

from localrun.record import TaskRecord
from localrun.server.schema import Submission as TaskRequestFromRay
from localrun.server.views import STATUSES as TASK_STATUSES
from localrun.states import TaskState

__all__ = ["TASK_STATUSES", "TaskRecord", "TaskRequestFromRay", "TaskState"]
