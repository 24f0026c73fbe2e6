"""Publishes what happens to tasks: those of this process, and those of other processes of the folder."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from localrun import fs
from localrun.report.details.rows import Row, task_row
from localrun.server.feed.event_feed import EventFeed
from localrun.task.events import Event
from localrun.task.record import TaskRecord

_WITH_ROW = frozenset({"state", "step", "warning"})
_PROGRESS_INTERVAL = 0.5  # seconds between two events of one operation
_MAX_RECENT = 1000  # events to recognise
_MAX_LINES = 1024**2  # bytes of new events of one task to read at once


class TaskFeed:
    """Publishes the events of tasks to a feed, with the row of the task where it changes.

    `find` returns the current record of a task.
    """

    def __init__(self, feed: EventFeed, find: Callable[[str], TaskRecord | None]) -> None:
        self._feed = feed
        self._find = find
        self._lock = threading.Lock()
        self._progress: dict[tuple[str, str], float] = {}
        self._recent: dict[tuple[str, str, str, float], None] = {}  # in order of publication

    def publish(self, event: Event) -> None:
        """Publish an event of a task, except its output. Thread-safe.

        An event is published once, although a new task of this process may be taken for that of another one,
        whose events are read from its folder.
        """
        if event.kind == "log" or not (
            self._shows(event) if event.kind == "progress" else self._is_new(event)
        ):
            return
        record = self._find(event.task_id) if _changes_row(event) else None
        self._feed.publish(event.kind, lambda: _content(event, record))

    def publish_removal(self, task_id: str) -> None:
        data = {"kind": "removed", "task_id": task_id, "time": time.time()}
        self._feed.publish("removed", lambda: data)

    def _is_new(self, event: Event) -> bool:
        key = (event.task_id, event.kind, event.message, event.time)
        with self._lock:
            if key in self._recent:
                return False
            self._recent[key] = None
            if len(self._recent) > _MAX_RECENT:
                del self._recent[next(iter(self._recent))]
        return True

    def _shows(self, event: Event) -> bool:
        """Return whether to publish progress: to a reader, not too often, and always its end."""
        if not self._feed.has_readers:
            return False
        key, now = (event.task_id, str(event.data.get("what"))), time.monotonic()
        is_end = event.data.get("done") == event.data.get("total")
        with self._lock:
            is_due = is_end or now - self._progress.get(key, 0.0) >= _PROGRESS_INTERVAL
            if is_end:
                self._progress.pop(key, None)
            elif is_due:
                if len(self._progress) >= _MAX_RECENT:  # of operations that were interrupted
                    recent = now - _PROGRESS_INTERVAL
                    self._progress = {one: at for one, at in self._progress.items() if at > recent}
                self._progress[key] = now
        return is_due


def _changes_row(event: Event) -> bool:
    """Return whether an event belongs to a change of the row; a note may say what the task waits for."""
    return event.kind in _WITH_ROW or (
        event.kind == "note" and bool(event.data.get("waiting") or "missing" in event.data)
    )


def _content(event: Event, record: TaskRecord | None) -> Row:
    content: dict[str, Any] = msgspec.structs.asdict(event)
    return content | ({"task": task_row(record)} if record is not None else {})


class EventFile:
    """The events of a task of another process, read from its folder as they are appended.

    Without `past`, the events so far are skipped.
    """

    def __init__(self, path: Path, *, past: bool) -> None:
        self._path = path
        self._position = 0 if past else self._size()

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def read(self) -> list[Event]:
        """Return the events that were appended since the last call."""
        try:
            with fs.open_regular(self._path) as stream:
                stream.seek(self._position)
                data = stream.read(_MAX_LINES)
        except OSError:
            return []
        data = data[: data.rfind(b"\n") + 1]
        self._position += len(data)
        return [event for line in data.splitlines() if (event := _parse(line)) is not None]


def _parse(line: bytes) -> Event | None:
    try:
        return Event(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
