"""What is noted of requests in the journal.

What a task does is noted elsewhere, wherever it was submitted. Here no line but the one of an event may
hold the event's name as a value: people count tasks by searching for it.
"""

from __future__ import annotations

import time
import traceback
from collections import OrderedDict
from threading import Lock
from typing import Any

from localrun.server.journal import Journal

_REPEATED = 60.0  # seconds in which the same refusal again is one of those that come again and again
_REMEMBERED = 256


class RequestLog:
    """Writes the lines of requests, and knows the last thing that was done."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = Lock()
        self._refused: OrderedDict[tuple[str, str, int, int], float] = OrderedDict()
        self.last_action: str | None = None

    def log_task_request(self, task_id: str, task: Any, assigned_by: str, endpoint: str) -> None:
        """Somebody asks for a task."""
        self.last_action = "create_task"
        self._journal.emit(
            "task_requested",
            action="create_task",
            data={"task_id": task_id, "task_data": task, "assigned_by": assigned_by, "endpoint": endpoint},
            metadata={"route": "task_creation"},
        )

    def log_call(self, function: str, task_id: str, active: int, **data: Any) -> None:
        """The manager was asked to do something."""
        self.last_action = function
        self._journal.emit(
            "module_call",
            action="task_management",
            data={
                "module": "task_manager",
                "function": function,
                "task_id": task_id,
                **data,
                "active_tasks_count": active,
            },
            metadata={"task_id": task_id, "global_list_size": active},
        )

    def log_response(self, action: str, status: int, task_id: str | None = None, **data: Any) -> None:
        """A request that changed something was answered; `status` is the HTTP status."""
        named = {"task_id": task_id} if task_id else {}
        self._journal.emit(
            "outgoing_response", action=action, data={"status": status, **named, **data}, metadata=named
        )

    def log_poll(self, event_type: str, endpoint: str, data: Any) -> None:
        """A request of the kind that comes again and again."""
        self._journal.emit(
            event_type, action="heartbeat", data=data, metadata={"endpoint": endpoint}, volatile=True
        )

    def log_rejection(self, method: str, path: str, status: int, detail: Any) -> None:
        """A request was refused; one that only repeats an earlier one does not push others out of sight."""
        self._journal.emit(
            "request_rejected",
            action=method,
            data={"status": status, "method": method, "path": path, "detail": detail},
            metadata={"endpoint": f"{method} {path}"},
            volatile=self._is_repeated((method, path, status, hash(str(detail)))),
        )

    def log_failure(self, action: str, words: str, error: BaseException) -> None:
        """We failed: a line in the log of errors, with what a report needs."""
        self._journal.emit(
            "task_error",
            action=action,
            data={"error": words, "detail": str(error), "traceback": _trace(error)},
            metadata={"error_type": f"{action}_failed"},
        )

    def log_not_found(self, action: str, words: str, task_id: str, active: int) -> None:
        """Somebody wants to end a task that there is not."""
        self._journal.emit(
            "task_error",
            action=action,
            data={"error": words, "task_id": task_id, "active_tasks_count": active},
            metadata={"task_id": task_id, "error_type": "task_not_found"},
        )

    def _is_repeated(self, refusal: tuple[str, str, int, int]) -> bool:
        present = time.monotonic()
        with self._lock:
            last = self._refused.pop(refusal, None)
            self._refused[refusal] = present
            if len(self._refused) > _REMEMBERED:
                self._refused.popitem(last=False)
        return last is not None and present - last < _REPEATED


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
