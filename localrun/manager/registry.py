"""The tasks that a process knows: the active ones, and the last of the completed."""

from __future__ import annotations

import threading
from collections import OrderedDict

from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord


class TaskRegistry:
    """Every operation takes the same time however many tasks have ended. Thread-safe."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._active: dict[str, ActiveTask] = {}
        self._completed: OrderedDict[str, TaskRecord] = OrderedDict()
        self._count = 0

    def add(self, task: ActiveTask) -> None:
        """A task that has not ended."""
        with self._lock:
            self._active[task.id] = task

    def complete(self, record: TaskRecord) -> None:
        """A task that has ended; the oldest of too many is forgotten (it stays on disk)."""
        with self._lock:
            self._active.pop(record.id, None)
            self._count += record.id not in self._completed
            self._completed[record.id] = record
            if len(self._completed) > self._keep:
                self._completed.popitem(last=False)

    def discard(self, task_id: str) -> None:
        """Forget an active task."""
        with self._lock:
            self._active.pop(task_id, None)

    def restore_completed(self, records: list[TaskRecord], count: int) -> None:
        """What ended before this process began: the last of it, the oldest first, and how much there was."""
        with self._lock:
            for record in records:
                self._completed[record.id] = record
            self._count += count

    def active(self) -> list[ActiveTask]:
        """The active tasks, in the order they came."""
        with self._lock:
            return list(self._active.values())

    def completed(self) -> list[TaskRecord]:
        """The completed tasks that are kept, in the order they ended."""
        with self._lock:
            return list(self._completed.values())

    def find(self, task_id: str) -> ActiveTask | None:
        """An active task."""
        with self._lock:
            return self._active.get(task_id)

    def find_completed(self, task_id: str) -> TaskRecord | None:
        """A completed task that is kept."""
        with self._lock:
            return self._completed.get(task_id)

    def counts(self) -> tuple[int, int]:
        """How many are active, and how many have ended."""
        with self._lock:
            return len(self._active), self._count
