"""Waiting for the future of a task's end, so that Ctrl+C is handled at once."""

from __future__ import annotations

import time
from concurrent import futures

from localrun.task.record import TaskRecord

# A signal that arrives just before a thread sleeps does not wake it, and Ctrl+C would be handled only when
# the task ends. So every wait sleeps in intervals of at most this many seconds.
MAX_SLEEP = 0.5


def wait_until_done(end: futures.Future[TaskRecord], timeout: float | None) -> bool:
    """Wait for a future for at most `timeout` seconds, and return whether it is done."""
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    while not end.done():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        futures.wait([end], min(MAX_SLEEP, left))
    return True


def is_obsolete(future: futures.Future[TaskRecord]) -> bool:
    """Return whether the wait is over although the task has not ended, so a new wait must start."""
    if not future.done():
        return False
    return future.cancelled() or future.exception() is not None or not future.result().state.is_final
