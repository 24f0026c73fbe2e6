"""The tasks of a project that is built on the Task System, through its own `task_manager` object.

A test of such a project replaces that object, or its methods. What these return or raise is the response.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from pydantic import BaseModel

from localrun.server import schemas, views
from localrun.server.task_system.models import EndedTask
from localrun.server.task_system.shared_manager import creating_with
from localrun.server.task_system.task_manager import TaskManager

if TYPE_CHECKING:
    from localrun.server.state import ServerState
    from localrun.task.record import TaskRecord

_KEYS = ("task_id", "task", "assigned_by", "timestamp")


class ProjectTasks:
    """Creates and reads tasks with the current `task_manager` of a project."""

    def __init__(self, state: ServerState, find_manager: Callable[[], Any]) -> None:
        self._state = state
        self._find_manager = find_manager

    async def create(self, task_id: str, found: schemas.Submission) -> dict[str, Any]:
        """Create a task, with this id unless the manager was replaced, and return its summary."""
        with creating_with(partial(self._create_record, task_id)):
            # in a thread, because it may read a bundle
            made = await anyio.to_thread.run_sync(self._find_manager().create_task, found)
        return self._summary(made)

    def _create_record(self, task_id: str, task: dict[str, Any], assigned_by: str) -> TaskRecord:
        return self._state.create_now(task_id, task, assigned_by).record

    def active(self) -> list[dict[str, Any]]:
        """Return the summaries of the active tasks."""
        return [self._summary(task) for task in self._find_manager().get_all_active_tasks()]

    def get(self, task_id: str) -> dict[str, Any] | None:
        """Return all details of a task, of one that has ended too, or None."""
        manager = self._find_manager()
        found = manager.get_task(task_id)
        record = self._state.app.manager.find_task(task_id)
        if found is not None:
            waiting = self._state.waiting_reason(record) if record else ""
            return {**(views.details(record, waiting) if record else {}), **_fields(found)}
        ended = manager.find_task(task_id) if _is_real(manager) else None
        if not isinstance(ended, EndedTask):
            return None
        return {**ended.model_dump(mode="json"), **(views.details(record) if record else {})}

    def status(self) -> dict[str, Any]:
        """Return the numbers of tasks."""
        manager = self._find_manager()
        counts = dict(manager.get_status())
        return {**counts, **self._state.phase_counts()} if _is_real(manager) else counts

    def _summary(self, task: Any) -> dict[str, Any]:
        record = self._state.app.manager.find_task(task.task_id)
        return {**(views.summary(record) if record else {}), **_fields(task)}


def _is_real(manager: object) -> bool:
    return issubclass(type(manager), TaskManager)  # a mock of one says that it is an instance


def _fields(task: Any) -> dict[str, Any]:
    """Return the fields of a model, or those of a mock that the response needs."""
    if isinstance(task, BaseModel):
        return task.model_dump(mode="json")
    return {key: getattr(task, key) for key in _KEYS}
