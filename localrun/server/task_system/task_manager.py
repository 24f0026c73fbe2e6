"""The `TaskManager` of the Task System."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from localrun.api.apps import app_for, pending_starts_of
from localrun.errors import UsageError
from localrun.manager.manager import Manager
from localrun.manager.payload import from_payload, is_manual
from localrun.manager.registry import format_counts
from localrun.manager.request import Request
from localrun.server.schemas import Submission
from localrun.server.task_system.models import (
    EndedTask,
    TaskRequest,
    TaskStatus,
    new_id,
    to_ended,
)
from localrun.server.timestamps import now


class TaskManager:
    """The active and the completed tasks, in memory. Thread-safe.

    A task that names a `bundle` or an `image` runs in a container, as one of `localrun.submit`; it moves to
    the completed tasks when it has ended. Any other task is active until `complete_task`.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._active: list[TaskRequest] = []
        self._completed: list[EndedTask] = []
        self._containers: dict[str, Manager] = {}  # by the id of an active task

    @property
    def active_tasks(self) -> list[TaskRequest]:
        """The list of active tasks itself, oldest first."""
        with self._lock:
            self._update()
            return self._active

    @active_tasks.setter
    def active_tasks(self, tasks: list[TaskRequest]) -> None:
        with self._lock:
            self._update()
            self._active = tasks

    @property
    def completed_tasks(self) -> list[EndedTask]:
        """The list of completed tasks itself, in the order of their ends."""
        with self._lock:
            self._update()
            return self._completed

    @completed_tasks.setter
    def completed_tasks(self, tasks: list[EndedTask]) -> None:
        with self._lock:
            self._update()
            self._completed = tasks

    def _update(self) -> None:
        """Move the tasks whose container has ended."""
        for task_id, manager in list(self._containers.items()):
            record = manager.find_task(task_id)
            if record is None or record.state.is_final:
                del self._containers[task_id]
                self._active[:] = [task for task in self._active if task.task_id != task_id]
                if record is not None:
                    self._completed.append(to_ended(record))

    def create_task(
        self,
        request: Submission | Mapping[str, Any],
        assigned_by: str = "",
        batch_id: str | None = None,
        *,
        task_id: str | None = None,
    ) -> TaskRequest:
        """Create a task from a `TaskRequestFromRay`, or from its two fields, and return it.

        Raises `UsageError` or another `LocalrunError` with all problems for an invalid task with a container.
        """
        task, client = (
            (request.task, request.assigned_by)
            if isinstance(request, Submission)
            else (dict(request), assigned_by)
        )
        made = self._create(task, client, task_id)
        return made if batch_id is None else made.model_copy(update={"batch_id": batch_id})

    def _create(self, task: dict[str, Any], assigned_by: str, task_id: str | None) -> TaskRequest:
        made = TaskRequest(task_id=task_id or new_id(), task=task, assigned_by=assigned_by)
        with self._lock:
            if self.find_task(made.task_id) is not None:
                raise UsageError(f"task {made.task_id} exists already", remedy="choose another id")
            if not is_manual(task):
                self._containers[made.task_id] = _submit(made)
            self._active.append(made)
        return made

    def get_task(self, task_id: str) -> TaskRequest | None:
        """Return an active task, or None."""
        return next((task for task in self.get_all_active_tasks() if task.task_id == task_id), None)

    def find_task(self, task_id: str) -> TaskRequest | EndedTask | None:
        """Return an active or a completed task, or None."""
        with self._lock:
            found: list[TaskRequest | EndedTask] = [*self.active_tasks, *self.completed_tasks]
        return next((task for task in found if task.task_id == task_id), None)

    def get_all_active_tasks(self) -> list[TaskRequest]:
        """Return a copy of the list of active tasks."""
        with self._lock:
            return list(self.active_tasks)

    def get_tasks_by_assignee(self, name: str) -> list[TaskRequest]:
        """Return the active tasks that `name` has assigned."""
        return [task for task in self.get_all_active_tasks() if task.assigned_by == name]

    def complete_task(self, task_id: str, result: Mapping[str, Any] | None = None) -> EndedTask | None:
        """Move a task without a container to the completed ones; None if it is not active.

        Raises `UsageError` if it has a container, which ends it.
        """
        with self._lock:
            task = self.get_task(task_id)
            if task is None:
                return None
            if task_id in self._containers:
                raise UsageError(f"task {task_id} ends with its container", remedy="kill it, or wait for it")
            ended = _complete(task, dict(result or {}))
            self._active.remove(task)
            self._completed.append(ended)
            return ended

    def get_status(self) -> dict[str, int]:
        """Return the number of active tasks, of completed tasks, and of both."""
        with self._lock:
            return format_counts(len(self.active_tasks), len(self.completed_tasks))


def _submit(task: TaskRequest) -> Manager:
    """Start the container of a task in the folder of `localrun.submit`, and return its manager."""
    app = app_for()
    request: Request = from_payload(task.task)
    request = request.replace(assigned_by=task.assigned_by, wait_for_inputs=False, reuse="no")
    app.manager.submit(request, pending_starts_of(app).on_event, task_id=task.task_id)
    app.supervise()
    return app.manager


def _complete(task: TaskRequest, result: dict[str, Any]) -> EndedTask:
    ended = now()
    return EndedTask(
        **task.model_dump(include={"task_id", "task", "assigned_by", "timestamp"}),
        status=TaskStatus.COMPLETED,
        result=result,
        completed_at=ended,
        processing_time_ms=_milliseconds(task.timestamp, ended),
    )


def _milliseconds(begin: str, end: str) -> float | None:
    try:
        passed = datetime.fromisoformat(end) - datetime.fromisoformat(begin).astimezone(UTC)
    except ValueError:  # a client may set any string
        return None
    return round(passed.total_seconds() * 1000, 3)
