"""The `TaskManager` whose tasks are those of a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from localrun.app import App
from localrun.manager.registry import format_counts
from localrun.server.request_log import RequestLog
from localrun.server.state import get_journal
from localrun.server.task_system.models import EndedTask, TaskRequest, to_ended, to_request
from localrun.server.task_system.task_manager import TaskManager
from localrun.task.record import TaskRecord

Create = Callable[[dict[str, Any], str], TaskRecord]

_creator: ContextVar[Create | None] = ContextVar("creator", default=None)


@contextmanager
def creating_with(create: Create) -> Iterator[None]:
    """Let `create_task` call `create` in this context: the server has an id, and rules for bundles."""
    token = _creator.set(create)
    try:
        yield
    finally:
        _creator.reset(token)


class SharedTaskManager(TaskManager):
    """Shows the tasks of an app, which are stored on disk, in the lists of the Task System.

    The lists are updated when they are read. A task that was removed from a list by hand is not listed again.
    """

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self._seen_active: set[str] = set()
        self._seen_completed: set[str] = set()

    def _update(self) -> None:
        manager = self._app.manager
        manager.refresh()
        _synchronize(self._active, self._seen_active, manager.active_tasks, to_request)
        _synchronize(self._completed, self._seen_completed, manager.completed_tasks, to_ended)

    def _create(self, task: dict[str, Any], assigned_by: str, task_id: str | None) -> TaskRequest:
        create = _creator.get()
        if create is None:
            get_journal(self._app)
            return to_request(self._app.manager.create_task(task, assigned_by, task_id=task_id).record)
        return to_request(create(task, assigned_by))

    def get_task(self, task_id: str) -> TaskRequest | None:
        """Return an active task, or None."""
        record = self._app.manager.find_task(task_id)
        return None if record is None or record.state.is_final else to_request(record)

    def find_task(self, task_id: str) -> TaskRequest | EndedTask | None:
        """Return an active task, or one that has ended at any time, or None."""
        record = self._app.manager.find_task(task_id)
        if record is None:
            return None
        return to_ended(record) if record.state.is_final else to_request(record)

    def complete_task(self, task_id: str, result: Mapping[str, Any] | None = None) -> EndedTask | None:
        """Move a task without a container to the completed ones; None if it is not active.

        Raises `UsageError` if it has a container, which ends it.
        """
        journal = get_journal(self._app)
        record = self._app.manager.complete_task(task_id, result) if self.get_task(task_id) else None
        if record is None:
            active = self._app.manager.get_status()["active_tasks_count"]
            RequestLog(journal).log_not_found(
                "complete_task", "Task not found for completion", task_id, active
            )
            return None
        return to_ended(record)

    def get_status(self) -> dict[str, int]:
        """Return the number of active tasks, of completed tasks, and of both."""
        with self._lock:
            self._update()
            counts = self._app.manager.get_status()
            active = counts["active_tasks_count"] - _hidden(self._active, self._seen_active)
            completed = counts["completed_tasks_count"] - _hidden(self._completed, self._seen_completed)
        return format_counts(max(active, 0), completed)


def _synchronize(
    shown: list[Any], seen: set[str], records: Iterable[TaskRecord], convert: Callable[[TaskRecord], Any]
) -> None:
    """Add new tasks to a list, and remove those that are no longer in `records`; keep foreign ones."""
    current = {record.id: record for record in records}
    if seen - current.keys():
        shown[:] = [task for task in shown if task.task_id in current or task.task_id not in seen]
    shown.extend(convert(record) for task_id, record in current.items() if task_id not in seen)
    seen.clear()
    seen.update(current)


def _hidden(shown: Iterable[TaskRequest | EndedTask], seen: set[str]) -> int:
    """Return how many tasks were removed from a list by hand."""
    return len(seen - {task.task_id for task in shown})
