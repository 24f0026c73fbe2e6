"""Cancel work on untrusted input that runs in a thread, or limit its time.

The work itself calls `check` often. Without a limit, that costs nothing; a signal interrupts the main thread
in any case.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Reason = Callable[[], Exception]


class Limit:
    """A time limit in seconds that another thread can end early."""

    def __init__(self, seconds: float, error: Reason) -> None:
        self._deadline = time.monotonic() + seconds
        self._error = error
        self._cancelled = threading.Event()
        self._reason = error

    def cancel(self, error: Reason) -> None:
        """Make the next `check` raise `error`."""
        self._reason = error
        self._cancelled.set()

    def check(self) -> None:
        if self._cancelled.is_set():
            raise self._reason()
        if time.monotonic() >= self._deadline:
            raise self._error()


_limit: ContextVar[Limit | None] = ContextVar("limit", default=None)


def check() -> None:
    """Raise the error of the limit if the work was cancelled or its time is over."""
    limit = _limit.get()
    if limit is not None:
        limit.check()


@contextmanager
def limited(limit: Limit) -> Iterator[None]:
    """Apply a limit to the work of the block, in this thread and in those that copy its context."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)
