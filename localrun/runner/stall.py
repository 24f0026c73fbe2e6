"""A task that does nothing any more: judged from what it writes and what it uses, and never ended for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from localrun import fs
from localrun.engines.base import Usage
from localrun.units import format_duration

_WORK = 0.01  # of one processor: less is waiting, and looking whether the waiting is over


class StallDetector:
    """Sees when a task has written nothing, moved nothing and computed next to nothing for `limit` seconds.

    Half an hour without a change in its files is Inductiva's rule; a task that computes in silence is busy
    here, and there it is not. 0 means never.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since = 0.0
        self._cpu = 0.0
        self._signs: tuple[int, int, int] | None = None
        self._told = False

    def check(self, now: float, written: int, usage: Usage, unchanged: Callable[[], float]) -> str:
        """What to warn of now, once for each stall; empty when there is nothing.

        `now` is in seconds of any clock that only goes forward, `written` counts the bytes of its log.
        `unchanged` is asked when all else is still: the seconds since its files were last written to.
        """
        signs = (written, usage.read_bytes, usage.written_bytes)
        if signs != self._signs:
            self._signs, self._told = signs, False
            self._begin(now, usage)
        passed = now - self._since
        if not self._limit or passed < self._limit:
            return ""
        quiet = unchanged()
        if quiet < self._limit:
            self._told = False
            self._begin(now - max(0.0, quiet), usage)
            return ""
        used = usage.cpu_seconds - self._cpu
        self._begin(now, usage)
        if used >= _WORK * passed:
            self._told = False
            return ""
        if self._told:
            return ""
        self._told = True
        return (
            f"the task may hang: for {format_duration(passed)} it has written nothing, and used"
            f" {format_duration(used)} of processor time; it goes on"
        )

    def _begin(self, now: float, usage: Usage) -> None:
        self._since, self._cpu = now, usage.cpu_seconds


def idle_seconds(folder: Path) -> float:
    """Seconds since something below a folder was last written; infinite when there is nothing."""
    newest = max((status.st_mtime for status in fs.walk_files(folder)), default=float("-inf"))
    return time.time() - newest
