"""Detection of tasks that seem stuck. A stalled task gets a warning and keeps running."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from localrun import fs
from localrun.engines.base import Usage
from localrun.units import format_duration

_WORK = 0.01  # of one CPU: less is idle time, such as polling


class StallDetector:
    """Detects that a task has been idle for `limit` seconds: no output, no I/O and nearly no CPU use.

    A limit of 0 disables it. Inductiva's rule is half an hour without a change in the task's files; unlike
    there, a task that computes without output is not stalled.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since = 0.0
        self._cpu = 0.0
        self._activity: tuple[int, int, int] | None = None
        self._warned = False

    def check(self, now: float, written: int, usage: Usage, unchanged: Callable[[], float]) -> str:
        """Return a warning, once for each stall; empty if the task is not stalled.

        `now` is the time of a monotonic clock in seconds, `written` the size of the log in bytes. `unchanged`
        returns the seconds since the task's files last changed; it is called only if all else is idle.
        """
        activity = (written, usage.read_bytes, usage.written_bytes)
        if activity != self._activity:
            self._activity, self._warned = activity, False
            self._restart(now, usage)
        passed = now - self._since
        if not self._limit or passed < self._limit:
            return ""
        quiet = unchanged()
        if quiet < self._limit:
            self._warned = False
            self._restart(now - max(0.0, quiet), usage)
            return ""
        used = usage.cpu_seconds - self._cpu
        self._restart(now, usage)
        if used >= _WORK * passed:
            self._warned = False
            return ""
        if self._warned:
            return ""
        self._warned = True
        return (
            f"the task may be stuck: no output and {format_duration(used)} of CPU time for"
            f" {format_duration(passed)} (still running)"
        )

    def _restart(self, now: float, usage: Usage) -> None:
        self._since, self._cpu = now, usage.cpu_seconds


def idle_seconds(folder: Path) -> float:
    """Return the seconds since a file below a folder last changed; infinite if there are no files."""
    newest = max((status.st_mtime for status in fs.walk_files(folder)), default=float("-inf"))
    return time.time() - newest
