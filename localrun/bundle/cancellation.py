"""Cancel work on untrusted input that runs in a thread, or limit its time.

The work itself calls `check` often, which costs nothing without a limit. On the command line there is none: a
signal interrupts the main thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MakeError = Callable[[], Exception]


class Limit:
    """A time limit that another thread can end early. The time starts with the first check."""

    def __init__(self, seconds: float, error: MakeError) -> None:
        self._seconds = seconds
        self._error = error
        self._deadline: float | None = None
        self._is_cancelled = False

    def cancel(self, error: MakeError) -> None:
        """Make each further check raise the result of `error`."""
        self._error = error
        self._is_cancelled = True

    def check(self) -> None:
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._seconds
        if self._is_cancelled or now >= self._deadline:
            raise self._error()


_limit: ContextVar[Limit | None] = ContextVar("limit", default=None)


def check() -> None:
    """Raise the error of the limit if the work was cancelled or its time is over."""
    limit = _limit.get()
    if limit is not None:
        limit.check()


@contextmanager
def limited(limit: Limit) -> Iterator[None]:
    """Apply a limit to the block, also in threads to which its context is copied."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)
