"""The queue between the threads of a task and the thread that displays its events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

from localrun.task.events import Event

_IDLE = 0.5  # seconds
_CAPACITY = 8 * 1024 * 1024  # characters of log output that may be pending


class EventQueue:
    """A queue of events that ends when it is closed.

    `on_idle` is called by the iteration when the queue is empty, and every half second while it stays empty.

    The display must never block the task: a terminal can be slow or paused, and a pipe can be closed. Log
    output beyond `capacity` is dropped and counted in `omitted`; the log file keeps it.
    """

    def __init__(self, capacity: int = _CAPACITY, *, on_idle: Callable[[], None] = lambda: None) -> None:
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._free = capacity
        self._on_idle = on_idle
        self.omitted = 0

    def put(self, event: Event) -> None:
        """Add an event. Never blocks."""
        if event.kind == "log" and not self._reserve(len(event.data["text"])):
            return
        self._queue.put(event)

    def close(self) -> None:
        """End the iteration after the events that were already added."""
        self._queue.put(None)

    def _reserve(self, size: int) -> bool:
        with self._lock:
            if size > self._free:
                self.omitted += size
                return False
            self._free -= size
            return True

    def __iter__(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            if event.kind == "log":
                with self._lock:
                    self._free += len(event.data["text"])
            yield event

    def _next(self) -> Event | None:
        # A signal that arrives just before a thread sleeps does not wake it, so sleep in short intervals.
        while True:
            if self._queue.empty():
                self._on_idle()
            try:
                return self._queue.get(timeout=_IDLE)
            except Empty:
                continue
