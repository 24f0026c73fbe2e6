"""Report the limits of a task that its engine does not enforce."""

from __future__ import annotations

from collections.abc import Iterable

from localrun.engines.base import LIMITS
from localrun.task.active import ActiveTask
from localrun.units import format_bytes

_TEXTS = {"memory": "memory", "swap": "swap", "pids": "processes", "cpu": "CPU"}


def report_unenforced(task: ActiveTask, limits: Iterable[str]) -> None:
    """Warn of limits that the engine does not enforce, and add them to the record; once for each."""
    before = task.record.unenforced
    new = [limit for limit in limits if limit not in before]
    if new:
        task.update(unenforced=[limit for limit in LIMITS if limit in {*before, *new}])
        named = ", ".join(_TEXTS[limit] for limit in new)
        task.warn(f"the engine does not enforce the task's limits of {named}; see `localrun doctor`")


def check_usage(task: ActiveTask) -> None:
    """Report limits that the measured usage of an ended task has exceeded, which proves them unenforced."""
    usage, memory, pids = task.record.usage, task.record.resources.memory, task.record.run_plan.pids
    if usage is None:
        return
    used = {
        "memory": (usage.memory_peak > memory, f"{format_bytes(usage.memory_peak)} of memory"),
        "pids": (usage.processes > pids, f"{usage.processes} processes"),
    }
    limits = {"memory": format_bytes(memory), "pids": str(pids)}
    for limit, (is_exceeded, amount) in used.items():
        if is_exceeded and limit not in task.record.unenforced:
            task.update(unenforced=[each for each in LIMITS if each in {*task.record.unenforced, limit}])
            task.warn(f"the task used {amount}: the engine does not enforce its limit of {limits[limit]}")
