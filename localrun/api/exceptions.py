"""The exception for a task that did not finish."""

from __future__ import annotations

from localrun.errors import Cause, LocalrunError, Problem
from localrun.task.record import TaskRecord


class TaskFailed(LocalrunError):
    """The task ended in another state than FINISHED.

    `cause`, `message`, `remedy` and `problems` are those of the task; `record` is its full record.
    """

    def __init__(self, record: TaskRecord) -> None:
        super().__init__(
            record.message or f"task {record.short_id} ended {record.state}",
            remedy=record.remedy,
            cause=Cause[record.cause] if record.cause else None,
            problems=[Problem.from_dict(problem) for problem in record.problems],
            id=record.id,
            exit_code=record.exit_code,
        )
        self.record = record

    def __reduce__(self) -> tuple[type[TaskFailed], tuple[TaskRecord]]:
        """Support pickling, for process pools."""
        return TaskFailed, (self.record,)
