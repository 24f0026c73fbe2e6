"""Passes task events from their threads to the event loop, for clients that wait or stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localrun.server.feed.folder_wakeups import FolderWakeups
from localrun.task.events import Event

_BUFFER = 256  # transient events that wait to be sent; a slow client misses the oldest ones
_MAX_WAIT = 15.0  # seconds; files that other machines write change without a notification
_POLL_INTERVAL = 0.25  # seconds between two looks at what the kernel cannot watch


class Subscription:
    """A subscription to one task and to its files, which another process may write.

    `transient_events` are sent once and not stored anywhere. `polls`: look again soon, because what comes
    next is not a change of a file.
    """

    def __init__(self, wakeups: FolderWakeups, folders: tuple[Path, ...]) -> None:
        self._event = asyncio.Event()
        self._wakeups = wakeups
        self._missing = list(folders)  # that do not exist yet
        self._watched: list[Path] = []
        self._is_complete = True  # whether the kernel reports all changes
        self.transient_events: deque[Event] = deque(maxlen=_BUFFER)
        self.polls = False

    def notify(self, event: Event | None = None) -> None:
        """Wake the subscriber, and keep the event if it is transient."""
        if event is not None and event.kind == "progress":
            self.transient_events.append(event)
        self._event.set()

    async def wait(self, timeout: float = _MAX_WAIT) -> bool:
        """Wait for an event or a change, at most `timeout` or 15 seconds; return whether there was one."""
        if self._watch():
            return True  # files may have been written before
        limit = _MAX_WAIT if self._is_complete and not self.polls else _POLL_INTERVAL
        try:
            await asyncio.wait_for(self._event.wait(), min(timeout, limit))
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def _watch(self) -> bool:
        """Watch the folders that exist by now; return whether there was a new one."""
        before = len(self._watched)
        for folder in list(self._missing):
            try:
                is_watched = self._wakeups.add(folder, self._event.set)
            except FileNotFoundError:
                continue
            self._missing.remove(folder)
            self._is_complete &= is_watched
            if is_watched:
                self._watched.append(folder)
        return len(self._watched) > before

    def close(self) -> None:
        for folder in self._watched:
            self._wakeups.remove(folder, self._event.set)


class Broadcaster:
    """The subscriptions by task. All methods but `publish` must be called in the event loop."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._wakeups = FolderWakeups()
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
    def subscribe(self, task_id: str, *folders: Path) -> Iterator[Subscription]:
        """Subscribe to the events of a task and to changes in folders during the block.

        A folder that does not exist is watched once it is there.
        """
        self._loop = asyncio.get_running_loop()
        subscription = Subscription(self._wakeups, folders)
        self._subscriptions.setdefault(task_id, set()).add(subscription)
        try:
            yield subscription
        finally:
            subscription.close()
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
