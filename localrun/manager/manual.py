"""Manual tasks: tasks without a container, which a client completes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from localrun.errors import Cause, UsageError
from localrun.manager.payload import redact_secrets
from localrun.manager.workers import Workers
from localrun.task import metadata
from localrun.task.active import ActiveTask
from localrun.task.events import Listener
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore


class ManualTasks:
    """The manual tasks of a folder. No process owns them: any process may complete or kill them."""

    def __init__(self, store: TaskStore, workers: Workers, on_event: Listener) -> None:
        self._store = store
        self._workers = workers
        self._on_event = on_event

    def create(self, payload: Mapping[str, Any], assigned_by: str, task_id: str | None) -> ActiveTask:
        workspace = self._store.create(task_id)
        record = TaskRecord(
            id=workspace.id,
            bundle="",
            submitted=redact_secrets(payload),
            assigned_by=assigned_by,
            folder=str(workspace),
        )
        if "metadata" in payload and (found := metadata.valid_or_empty(payload["metadata"])):
            metadata.save(workspace, found)
        task = ActiveTask(record, workspace, (self._on_event,))
        task.create(on_saved=partial(self._publish, task))
        return task

    def _publish(self, task: ActiveTask) -> None:
        self._store.publish(task.workspace)
        self._workers.registry.add(task)

    def refresh(self) -> None:
        """Update the registry with the tasks that another process has ended."""
        active = set(self._store.active_ids())
        for task in self._workers.registry.active():
            if task.record.kind == "manual" and task.id not in active:
                self._update(task)

    def find(self, task_id: str) -> ActiveTask | None:
        """Return an active task of any kind, unless another process has ended it."""
        task = self._workers.registry.find(task_id)
        if task is not None and task.record.kind == "manual" and not self._store.is_active(task_id):
            self._update(task)
            return self._workers.registry.find(task_id)
        return task

    def _update(self, task: ActiveTask) -> None:
        record = task.workspace.load_or_none()
        if record is None:  # it was deleted
            self._workers.registry.discard(task.id)
        elif record.state.is_final:
            self._workers.registry.complete(record)

    def complete(self, record: TaskRecord, result: Mapping[str, Any] | None) -> TaskRecord:
        """End a task as FINISHED. Raises `UsageError` if it has a container or has ended already."""
        if record.kind != "manual":
            raise UsageError(f"task {record.id} ends with its container", remedy="kill it, or wait for it")
        task = self._end(record, TaskState.FINISHED, message="completed", result=dict(result or {}))
        if task is None:
            raise UsageError(f"task {record.id} has ended already", id=record.id)
        return task.record

    def kill(self, record: TaskRecord) -> None:
        message = "the task was stopped on request"
        self._end(record, TaskState.KILLED, cause=str(Cause.KILLED), message=message)

    def _end(self, record: TaskRecord, state: TaskState, **changes: Any) -> ActiveTask | None:
        task = self._workers.registry.find(record.id)
        task = task or ActiveTask(record, self._store.open(record.id), (self._on_event,))
        lock = self._store.acquire(record.id)
        ended = lock is not None and self._workers.end(task, lock, state, **changes)
        return task if ended else None
