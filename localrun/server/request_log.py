"""Journal entries about requests.

Entries about tasks are written by `TaskEventListener`. An entry must not contain the name of another event
as a value, because users count tasks by searching for that name.
"""

from __future__ import annotations

import time
import traceback
from collections import OrderedDict
from threading import Lock
from typing import Any

from localrun.server.journal import Journal

_REPEAT_INTERVAL = 60.0  # seconds within which an identical rejection counts as repeated
_MAX_REMEMBERED = 256


class RequestLog:
    """Writes the journal entries of requests, and stores the last action."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = Lock()
        self._rejections: OrderedDict[tuple[str, str, int, int], float] = OrderedDict()
        self.last_action: str | None = None

    def log_task_request(self, task_id: str, task: Any, assigned_by: str, endpoint: str) -> None:
        self.last_action = "create_task"
        self._journal.emit(
            "task_requested",
            action="create_task",
            data={"task_id": task_id, "task_data": task, "assigned_by": assigned_by, "endpoint": endpoint},
            metadata={"route": "task_creation"},
        )

    def log_call(self, function: str, task_id: str, active: int, **data: Any) -> None:
        """Log a call of the task manager."""
        self.last_action = function
        call = {"module": "task_manager", "function": function, "task_id": task_id}
        self._journal.emit(
            "module_call",
            action="task_management",
            data={**call, **data, "active_tasks_count": active},
            metadata={"task_id": task_id, "global_list_size": active},
        )

    def log_response(self, action: str, status: int, task_id: str | None = None, **data: Any) -> None:
        """Log the response to a request that changed something; `status` is the HTTP status."""
        task = {"task_id": task_id} if task_id else {}
        self._journal.emit(
            "outgoing_response", action=action, data={"status": status, **task, **data}, metadata=task
        )

    def log_poll(self, event_type: str, endpoint: str, data: Any) -> None:
        """Log a request that clients repeat all the time."""
        self._journal.emit(
            event_type, action="heartbeat", data=data, metadata={"endpoint": endpoint}, volatile=True
        )

    def log_rejection(self, method: str, path: str, status: int, detail: Any) -> None:
        """Log a rejected request. Repetitions are volatile, so that they do not displace other entries."""
        self._journal.emit(
            "request_rejected",
            action=method,
            data={"status": status, "method": method, "path": path, "detail": detail},
            metadata={"endpoint": f"{method} {path}"},
            volatile=self._is_repeated((method, path, status, hash(str(detail)))),
        )

    def log_failure(self, action: str, summary: str, error: BaseException) -> None:
        trace = "".join(traceback.format_exception(error))
        self._journal.emit(
            "task_error",
            action=action,
            data={"error": summary, "detail": str(error), "traceback": trace},
            metadata={"error_type": f"{action}_failed"},
        )

    def log_not_found(self, action: str, summary: str, task_id: str, active: int) -> None:
        """Log a request to end a task that does not exist."""
        self._journal.emit(
            "task_error",
            action=action,
            data={"error": summary, "task_id": task_id, "active_tasks_count": active},
            metadata={"task_id": task_id, "error_type": "task_not_found"},
        )

    def _is_repeated(self, rejection: tuple[str, str, int, int]) -> bool:
        current = time.monotonic()
        with self._lock:
            last = self._rejections.pop(rejection, None)
            self._rejections[rejection] = current
            if len(self._rejections) > _MAX_REMEMBERED:
                self._rejections.popitem(last=False)
        return last is not None and current - last < _REPEAT_INTERVAL
