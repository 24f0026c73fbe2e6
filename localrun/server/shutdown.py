"""What the server prints when it is stopped: which tasks it has, and what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from localrun.console.display.sanitize import escape_control_chars
from localrun.settings.options import OnExit
from localrun.task.record import TaskRecord
from localrun.units import format_count, format_duration

_MAX_LISTED = 20


def shutdown_notice(records: Sequence[TaskRecord], on_exit: OnExit, grace: float) -> list[str]:
    """Return the lines to print for the tasks that run at the shutdown; nothing if there are none.

    `grace` is the time in seconds that a container has until it is killed.
    """
    if not records:
        return []
    count = format_count(len(records), "unfinished task")
    lines = [f"stopping: {_outcome(count, on_exit, grace)}"]
    lines += [f"  {_row(record)}" for record in records[:_MAX_LISTED]]
    if len(records) > _MAX_LISTED:
        lines.append(f"  and {len(records) - _MAX_LISTED} more")
    if on_exit != "leave":
        lines.append("hint: start the server with `localrun serve --on-exit leave` to let tasks continue")
    return lines


def _outcome(count: str, on_exit: OnExit, grace: float) -> str:
    if on_exit == "leave":
        return f"{count} will continue without the server; see `localrun list`"
    if on_exit == "wait":
        return f"waiting for {count} (--on-exit wait); press Ctrl+C again to kill them now"
    limit = f", each within {format_duration(grace)}" if grace else ""
    return f"killing {count}{limit} (--on-exit kill); press Ctrl+C again to kill them now"


def _row(record: TaskRecord) -> str:
    name = escape_control_chars(record.name or record.bundle)[:60]
    took = format_duration(max(time.time() - record.created, 0.0))
    return f"{record.short_id}  {name}  {record.state}  for {took}"
