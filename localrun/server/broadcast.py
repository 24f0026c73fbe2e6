"""Passes task events from their threads to the event loop, for clients that wait or stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from localrun.task.events import Event

_BUFFER = 256  # transient events that wait to be sent; a slow client misses the oldest ones


class Subscription:
    """A subscription to one task. `transient_events` are sent once and not stored anywhere."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.transient_events: deque[Event] = deque(maxlen=_BUFFER)

    def notify(self, event: Event | None = None) -> None:
        """Wake the subscriber, and keep the event if it is transient."""
        if event is not None and event.kind == "progress":
            self.transient_events.append(event)
        self._event.set()

    async def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for an event; return whether there was one."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Broadcaster:
    """The subscriptions by task. All methods but `publish` must be called in the event loop."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_closing = False

    def publish(self, event: Event) -> None:
        """Wake the subscribers of an event's task. Can be called in any thread."""
        if event.task_id in self._subscriptions and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify, event)

    def _notify(self, event: Event) -> None:
        for subscription in self._subscriptions.get(event.task_id, ()):
            subscription.notify(event)

    @contextmanager
    def subscribe(self, task_id: str) -> Iterator[Subscription]:
        """Subscribe to the events of a task during the block."""
        self._loop = asyncio.get_running_loop()
        subscription = Subscription()
        self._subscriptions.setdefault(task_id, set()).add(subscription)
        try:
            yield subscription
        finally:
            others = self._subscriptions[task_id]
            others.discard(subscription)
            if not others:
                del self._subscriptions[task_id]

    def close(self) -> None:
        """Wake all waiting clients on shutdown."""
        self.is_closing = True
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.notify()
