"""Which ended tasks are still needed because their result was reused, or is in the table of a batch."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from localrun import fs
from localrun.task.frozen import decoder
from localrun.values.reuse.index import ReuseIndex


class KnownBatch(msgspec.Struct, frozen=True):
    """A batch: when it ended and when it was last changed (seconds since 1970), and whether it runs."""

    id: str
    ended: float | None = None
    changed: float = 0.0
    is_running: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it runs, or may be resumed."""
        return self.is_running or self.ended is None


class References:
    """What names the tasks of a folder: uses of their results, and batches that exist."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._index = ReuseIndex(home)
        self._used = self._index.used_tasks()
        self.batches = {batch.id: batch for batch in self._read_batches()}

    def _read_batches(self) -> list[KnownBatch]:
        folder = self._home / "batches"
        try:
            names = os.listdir(folder)  # noqa: PTH208 - names
        except OSError:
            return []
        return [found for name in names if (found := self._read_batch(folder / name)) is not None]

    def _read_batch(self, folder: Path) -> KnownBatch | None:
        try:
            with fs.open_regular(folder / "batch.json") as stream:
                changed = os.fstat(stream.fileno()).st_mtime
                found: KnownBatch = decoder(KnownBatch).decode(stream.read())
        except (OSError, ValueError, RecursionError):
            return None
        return msgspec.structs.replace(
            found, id=folder.name, changed=changed, is_running=fs.is_locked(folder)
        )

    def batches_of(self, task: str, own: str = "") -> list[str]:
        """Return the existing batches whose results name a task; `own` is the batch that it is a row of."""
        named = {own, *(self._index.batches_of(task) if task in self._used else ())}
        return sorted(named & self.batches.keys())

    def has_open_batch(self, task: str, own: str = "") -> bool:
        """Return whether a batch that has not ended names a task."""
        return any(self.batches[batch].is_open for batch in self.batches_of(task, own))

    def last_use(self, task: str) -> float:
        """Return when the result of a task was reused last (seconds since 1970); 0.0 if it never was."""
        return self._index.last_use(task) if task in self._used else 0.0
