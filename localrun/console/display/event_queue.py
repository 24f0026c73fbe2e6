"""The way of events from the threads of a task to the one that shows them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

from localrun.task.events import Event

_ROOM = 8 * 1024 * 1024  # characters of log that may wait to be shown


class EventQueue:
    """A queue of events, until it is closed.

    Showing must never hold the task up: a terminal is slow, can be halted, and a pipe can be closed. So
    a listener only puts events here, and log text for which there is no room is left out and counted;
    the log file has it.
    """

    def __init__(self, capacity: int = _ROOM) -> None:
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._room = capacity
        self.omitted = 0

    def put(self, event: Event) -> None:
        """The listener."""
        if event.kind == "log" and not self._take(len(event.data["text"])):
            return
        self._queue.put(event)

    def close(self) -> None:
        """Nothing more comes."""
        self._queue.put(None)

    def _take(self, size: int) -> bool:
        with self._lock:
            if size > self._room:
                self.omitted += size
                return False
            self._room -= size
            return True

    def __iter__(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            if event.kind == "log":
                with self._lock:
                    self._room += len(event.data["text"])
            yield event

    def _next(self) -> Event | None:
        # A signal that comes just before a thread goes to sleep does not wake it: sleep in slices.
        while True:
            try:
                return self._queue.get(timeout=0.5)
            except Empty:
                continue
