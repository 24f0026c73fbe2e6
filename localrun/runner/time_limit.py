"""The time limit of a task, by the engine's clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from localrun.engines.base import Engine, Exit, Handle
from localrun.errors import ContainerGone, EngineError

_RETRY_INTERVAL = 1.0  # seconds until an engine that does not answer is asked again
_SHORTEST = 0.01  # seconds between two looks at the container


class TimeLimit:
    """Calls `stop` once a container has run for `limit` seconds.

    A process that was stopped or suspended wakes up late, and a container that is resumed has run before. So
    the engine is asked before anything is stopped: a container that has ended in time is left alone.
    """

    def __init__(self, engine: Engine, handle: Handle, limit: float, stop: Callable[[], None]) -> None:
        self._engine = engine
        self._handle = handle
        self._limit = limit
        self._stop = stop
        self._done = threading.Event()
        self.has_stopped = False

    @contextmanager
    def enforced(self, passed: float) -> Iterator[None]:
        """Enforce the limit during the block; the container has run for about `passed` seconds."""
        first = min(max(self._limit - passed, 0.0), self._limit)
        thread = threading.Thread(target=self._run, args=(first,), name="time-limit", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _run(self, left: float) -> None:
        while not self._done.wait(min(left, threading.TIMEOUT_MAX)):
            try:
                status = self._engine.inspect(self._handle)
                if status.exit is not None:
                    return
                left = self._limit if status.elapsed is None else self._limit - status.elapsed
                if left <= 0:
                    self.has_stopped = True
                    self._stop()
                    return
            except ContainerGone:
                return
            except EngineError:  # the engine is lost; the monitor decides what happens to the task
                left = _RETRY_INTERVAL
            left = max(left, _SHORTEST)

    def is_exceeded(self, exit_: Exit, *, by_duration: bool) -> bool:
        """Return whether an ended container was stopped for its limit or, `by_duration`, ran for longer."""
        ran = exit_.seconds if by_duration else None
        return self.has_stopped or (ran is not None and ran > self._limit)
