"""The tasks that a process knows: all active ones and the last completed ones."""

from __future__ import annotations

import threading
from collections import OrderedDict

from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord


class TaskRegistry:
    """Tasks by id. Every operation takes constant time in the number of ended tasks. Thread-safe."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._active: dict[str, ActiveTask] = {}
        self._completed: OrderedDict[str, TaskRecord] = OrderedDict()
        self._count = 0

    def add(self, task: ActiveTask) -> None:
        with self._lock:
            self._active[task.id] = task

    def complete(self, record: TaskRecord) -> None:
        """Move a task to the completed ones; beyond `keep` the oldest is dropped (it stays on disk)."""
        with self._lock:
            self._active.pop(record.id, None)
            self._count += record.id not in self._completed
            self._completed[record.id] = record
            if len(self._completed) > self._keep:
                self._completed.popitem(last=False)

    def discard(self, task_id: str) -> None:
        with self._lock:
            self._active.pop(task_id, None)

    def forget(self, task_id: str) -> None:
        """Drop a completed task that was deleted."""
        with self._lock:
            self._completed.pop(task_id, None)

    def restore_completed(self, records: list[TaskRecord], count: int) -> None:
        """Add tasks that ended before this process started, oldest first; `count` is the number of all."""
        with self._lock:
            for record in records:
                self._completed[record.id] = record
            self._count += count

    def active(self) -> list[ActiveTask]:
        """Return the active tasks in the order in which they were added."""
        with self._lock:
            return list(self._active.values())

    def completed(self) -> list[TaskRecord]:
        """Return the kept completed tasks in the order in which they ended."""
        with self._lock:
            return list(self._completed.values())

    def find(self, task_id: str) -> ActiveTask | None:
        with self._lock:
            return self._active.get(task_id)

    def find_completed(self, task_id: str) -> TaskRecord | None:
        with self._lock:
            return self._completed.get(task_id)

    def counts(self) -> tuple[int, int]:
        with self._lock:
            return len(self._active), self._count


def format_counts(active: int, completed: int) -> dict[str, int]:
    """Return numbers of tasks in the form of the Task System."""
    return {
        "active_tasks_count": active,
        "completed_tasks_count": completed,
        "total_tasks_processed": active + completed,
    }
