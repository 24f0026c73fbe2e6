"""From what happens to tasks to lines of the journal."""

from __future__ import annotations

from typing import Any

from localrun.server.journal.journal import Journal
from localrun.task.events import Event

_BEGIN, _GOOD = "CREATED", "FINISHED"
_BAD = ("FAILED", "KILLED")


class TaskEventListener:
    """A listener that writes down what a reader of the journal looks for: beginnings, starts and ends.

    What a task writes, and every state in between, is in the task's own folder: here it would push
    errors out of the last hundred lines.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __call__(self, event: Event) -> None:
        """Write an event down, if it is one of those."""
        if event.kind == "state":
            self._state(event, str(event.data.get("state")))
        elif event.kind == "note" and event.data.get("waiting"):
            self._emit("task_deferred", event, reason=event.message)
        elif event.kind == "warning":
            self._emit("task_warning", event, warning=event.message)

    def _state(self, event: Event, state: str) -> None:
        who: dict[str, Any] = {"assigned_by": event.data.get("assigned_by")}
        if state == _BEGIN:
            data = event.data.get("task_data")
            self._emit("task_created", event, task_data=data, metadata={"task_id": event.task_id}, **who)
        elif state == "RUNNING":
            self._emit("task_started", event, **who)
        elif state == _GOOD:
            done = {"task_id": event.task_id, "completion_status": "success"}
            self._emit("task_completed", event, action="complete_task", metadata=done, **who)
        elif state in _BAD:
            self._error(event, who)

    def _error(self, event: Event, who: dict[str, Any]) -> None:
        cause = str(event.data.get("cause") or event.data.get("state"))
        text = str(event.data.get("message") or "").partition("\n")[0]
        self._emit(
            "task_error",
            event,
            error=cause,
            explanation=text,
            exit_code=event.data.get("exit_code"),
            metadata={"task_id": event.task_id, "error_type": cause.lower()},
            **who,
        )

    def _emit(
        self,
        event_type: str,
        event: Event,
        *,
        action: str = "create_task",
        metadata: dict[str, Any] | None = None,
        **data: Any,
    ) -> None:
        self._journal.emit(
            event_type, action=action, data={"task_id": event.task_id, **data}, metadata=metadata
        )
