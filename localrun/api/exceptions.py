"""The error that a task's end becomes in Python."""

from __future__ import annotations

from localrun.errors import Cause, LocalrunError, Problem
from localrun.task.record import TaskRecord


class TaskFailed(LocalrunError):
    """The task ended otherwise than FINISHED.

    `cause`, `message`, `remedy` and `problems` are those of the task; `record` is all that is known of it.
    """

    def __init__(self, record: TaskRecord) -> None:
        super().__init__(
            record.message or f"the task {record.short_id} ended {record.state}",
            remedy=record.remedy,
            cause=Cause[record.cause] if record.cause else None,
            problems=[Problem(**problem) for problem in record.problems],
            id=record.id,
            exit_code=record.exit_code,
        )
        self.record = record

    def __reduce__(self) -> tuple[type[TaskFailed], tuple[TaskRecord]]:
        """Let it pass from one process to another, as pools of processes do."""
        return TaskFailed, (self.record,)
