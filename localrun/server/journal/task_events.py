"""Writes task events to the journal."""

from __future__ import annotations

from typing import Any

from localrun.server.journal.journal import Journal
from localrun.task.events import Event


class TaskEventListener:
    """Logs the creation, start and end of tasks, and their warnings.

    The output and the other states are only in the folder of the task. Here, they would push errors out of
    the last hundred lines.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __call__(self, event: Event) -> None:
        if event.kind == "state":
            self._state(event, str(event.data.get("state")))
        elif event.kind == "note" and event.data.get("waiting"):
            self._emit("task_deferred", event, reason=event.message)
        elif event.kind == "warning":
            self._emit("task_warning", event, warning=event.message)

    def _state(self, event: Event, state: str) -> None:
        client: dict[str, Any] = {"assigned_by": event.data.get("assigned_by")}
        if state == "CREATED":
            data = event.data.get("task_data")
            self._emit("task_created", event, task_data=data, metadata={"task_id": event.task_id}, **client)
        elif state == "RUNNING":
            self._emit("task_started", event, **client)
        elif state == "FINISHED":
            done = {"task_id": event.task_id, "completion_status": "success"}
            self._emit("task_completed", event, action="complete_task", metadata=done, **client)
        elif state in ("FAILED", "KILLED"):
            self._error(event, client)

    def _error(self, event: Event, client: dict[str, Any]) -> None:
        cause = str(event.data.get("cause") or event.data.get("state"))
        about = {"task_id": event.task_id, "error_type": cause.lower()}
        self._emit(
            "task_error",
            event,
            error=cause,
            explanation=str(event.data.get("message") or "").partition("\n")[0],
            exit_code=event.data.get("exit_code"),
            metadata=about,
            **client,
        )

    def _emit(
        self, event_type: str, event: Event, *, action: str = "create_task", metadata: Any = None, **data: Any
    ) -> None:
        data = {"task_id": event.task_id, **data}
        self._journal.emit(event_type, action=action, data=data, metadata=metadata)
