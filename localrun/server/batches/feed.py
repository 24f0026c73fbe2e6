"""Publishes the changes of batches to clients, and writes them to the journal."""

from __future__ import annotations

import threading
import time
from typing import Any

from localrun.server.batches.runs import BatchRuns
from localrun.server.feed.event_feed import EventFeed
from localrun.server.journal import Journal

_INTERVAL = 0.5  # seconds between two events about the progress of a batch
_LOGGED = {
    "created": "batch_created",
    "ended": "batch_ended",
    "failed": "batch_error",
    "cancelled": "batch_cancelled",
}
_IN_JOURNAL = ("batch_id", "bundle", "state", "total", "counts", "assigned_by", "error")


class BatchFeed:
    """Publishes batches as events of the kind `batch`. Thread-safe."""

    def __init__(self, feed: EventFeed, journal: Journal) -> None:
        self._feed, self._journal = feed, journal
        self._lock = threading.Lock()
        self._published: dict[str, float] = {}
        self.runs: BatchRuns | None = None

    def on_change(self, batch_id: str, what: str) -> None:
        """Publish what has happened: `created`, `progress`, `ended`, `cancelled`, or `failed`."""
        if what == "progress" and not self._is_due(batch_id):
            return
        if what == "ended":
            self._published.pop(batch_id, None)
        fields = self._fields(batch_id)
        if fields is None:
            return
        content = {"kind": "batch", "batch_id": batch_id, "what": what, "batch": fields, "time": time.time()}
        self._feed.publish("batch", lambda: content)
        if what in _LOGGED:
            data = {name: fields[name] for name in _IN_JOURNAL}
            self._journal.emit(_LOGGED[what], action="batch", data=data, metadata={"batch_id": batch_id})

    def _is_due(self, batch_id: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._published.get(batch_id, 0.0) < _INTERVAL:
                return False
            self._published[batch_id] = now
            return True

    def _fields(self, batch_id: str) -> dict[str, Any] | None:
        record = self.runs.store.load(batch_id) if self.runs is not None else None
        return None if record is None or self.runs is None else self.runs.fields(record)
