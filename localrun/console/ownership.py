"""Which process owns an active task, and what to do about a task without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from localrun.task import supervision
from localrun.task.fate import Fate, fate
from localrun.task.process import is_alive

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord


def as_fields(record: TaskRecord) -> dict[str, Any]:
    """Return the JSON fields: whether the task outlives its process, and whether that has died.

    `supervised` means that the supervisor owns the task.
    """
    return {
        "detached": record.run_plan.detached,
        "owner_gone": is_owner_gone(record),
        "supervised": _is_supervised(record),
    }


def is_owner_gone(record: TaskRecord) -> bool:
    """Return whether the process that owns the task died before the task ended."""
    return not record.state.is_final and record.owner is not None and not is_alive(record.owner)


def _is_supervised(record: TaskRecord) -> bool:
    if record.state.is_final or record.owner is None or is_owner_gone(record):
        return False
    return record.owner.pid == _supervisor(record)


def _supervisor(record: TaskRecord) -> int | None:
    return supervision.running_pid(Path(record.folder).parent.parent)


def owner_text(record: TaskRecord) -> str:
    """Return the process that owns an active task, empty if there is none."""
    if record.state.is_final or record.owner is None or is_owner_gone(record):
        return ""
    if _is_supervised(record):
        return f"supervisor {record.owner.pid}"
    return f"{record.owner.pid}" + (" (the task outlives it)" if record.run_plan.detached else "")


def orphan_hint(record: TaskRecord) -> str:
    """Return what happens to a task whose process has died and what to do; empty for any other task."""
    if not is_owner_gone(record):
        return ""
    decided = fate(record, owner_alive=False)
    if decided is Fate.AWAIT_INPUTS:
        return "its process has died; `localrun serve` receives its missing inputs"
    if decided is Fate.AWAIT_START:
        return "its process has died; `localrun serve` starts it on request"
    if decided.is_resumable:
        if _supervisor(record) is not None:
            return "its process has died; the supervisor resumes it"
        return f"its process has died and no supervisor runs; `localrun wait {record.short_id}` resumes it"
    return f"its process has died; `localrun kill {record.short_id}` ends the task"
