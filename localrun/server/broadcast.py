"""Events of tasks, brought from their threads to the event loop, for those who wait and watch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from localrun.task.events import Event

_KEPT = 256  # passing events that may wait to be sent: a slow reader misses some, which is what passing means


class Subscription:
    """One who watches one task. `passing` are events that are told once and kept nowhere."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.transient_events: deque[Event] = deque(maxlen=_KEPT)

    def notify(self, event: Event | None = None) -> None:
        """Something happened."""
        if event is not None and event.kind == "progress":
            self.transient_events.append(event)
        self._news.set()

    async def wait(self, timeout: float) -> bool:
        """Wait for news at most `timeout` seconds; whether there are any."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout)
        except TimeoutError:
            return False
        self._news.clear()
        return True


class Broadcaster:
    """Knows who watches which task. All but the listener is used in the event loop only."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[Subscription]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_closing = False

    def publish(self, event: Event) -> None:
        """The listener."""
        # in any thread; a task that nobody watches costs one look
        if event.task_id in self._watchers and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, event)

    def _spread(self, event: Event) -> None:
        for watcher in self._watchers.get(event.task_id, ()):
            watcher.notify(event)

    @contextmanager
    def subscribe(self, task_id: str) -> Iterator[Subscription]:
        """Watch a task within the context."""
        self._loop = asyncio.get_running_loop()
        watcher = Subscription()
        self._watchers.setdefault(task_id, set()).add(watcher)
        try:
            yield watcher
        finally:
            others = self._watchers[task_id]
            others.discard(watcher)
            if not others:
                del self._watchers[task_id]

    def close(self) -> None:
        """Let everybody go who waits: the server stops."""
        self.is_closing = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.notify()
