"""A numbered stream of events, of which the last ones are kept for clients that resume or read slowly."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from localrun.undecodable import encode_json

_KEPT = 4096  # events; a client that is further behind has to load its lists again
_MAX_READERS = 1000  # clients


class FeedEntry:
    """An event of the feed. Its text is made when the first client needs it."""

    __slots__ = ("_make", "_text", "is_journal", "kind", "number")

    def __init__(self, number: int, kind: str, make: Callable[[], Any], *, is_journal: bool) -> None:
        self.number = number
        self.kind = kind
        self.is_journal = is_journal
        self._make: Callable[[], Any] | None = make
        self._text = b""

    @property
    def data(self) -> bytes:
        """The event as JSON."""
        if self._make is not None:
            made = self._make()
            self._text = made if isinstance(made, bytes) else encode_json(made)
            self._make = None
        return self._text


class EventFeed:
    """Events in order of their publication, for any number of readers. There is no queue for each reader.

    Readers keep the number of their last event, so a slow one costs nothing and finds out that it has missed
    events. `server` is part of every id, so ids of an earlier server are recognised.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self.server = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._entries: deque[FeedEntry] = deque(maxlen=kept)
        self._last = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readers: set[asyncio.Event] = set()
        self._is_waking = False

    @property
    def last_id(self) -> str:
        """The id of the last event."""
        return self.format_id(self._last)

    @property
    def last_number(self) -> int:
        """The number of the last event, from 1; 0 if there was none."""
        return self._last

    @property
    def is_full(self) -> bool:
        """Whether there are too many readers."""
        return len(self._readers) >= _MAX_READERS

    @property
    def has_readers(self) -> bool:
        return bool(self._readers)

    def format_id(self, number: int) -> str:
        return f"{self.server}-{number}"

    def parse_id(self, text: str) -> int | None:
        """Return the number in an id; None if it is not one of this server."""
        server, _, number = text.rpartition("-")
        if server != self.server or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        return int(number) if int(number) <= self._last else None

    def publish(self, kind: str, make: Callable[[], Any], *, is_journal: bool = False) -> None:
        """Add an event, whose content is the JSON value or text that `make` returns. Thread-safe."""
        with self._lock:
            self._last += 1
            self._entries.append(FeedEntry(self._last, kind, make, is_journal=is_journal))
            is_waking, self._is_waking = self._is_waking, bool(self._readers)
        if self._readers and not is_waking:
            self._call(self._wake)

    def mark_gap(self) -> None:
        """Make every client that resumes load its lists again, because events may be missing."""
        with self._lock:
            self._entries.clear()
            self._last += 1

    def _call(self, callback: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(callback)

    def _wake(self) -> None:
        with self._lock:
            self._is_waking = False
        for reader in self._readers:
            reader.set()

    def after(self, number: int) -> list[FeedEntry] | None:
        """Return the events after a number; None if some of them are not kept any more."""
        with self._lock:
            missing = self._last - number
            if missing > len(self._entries):
                return None
            return list(islice(self._entries, len(self._entries) - missing, None)) if missing else []

    @contextmanager
    def reading(self) -> Iterator[asyncio.Event]:
        """Return an `asyncio.Event` that is set when there are new events."""
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._readers.add(event)
        try:
            yield event
        finally:
            self._readers.discard(event)

    def close(self) -> None:
        """Wake all readers on shutdown."""
        for reader in self._readers:
            reader.set()
