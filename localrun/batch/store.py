"""The batches of a folder on disk: `HOME/batches/ID/batch.json`."""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from localrun import fs
from localrun.errors import UsageError
from localrun.task.frozen import Frozen
from localrun.task.record import ProcessId

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
BatchState = Literal["running", "stopped", "ended"]


class BatchRecord(Frozen, frozen=True, kw_only=True):
    """A batch: what it runs, where its results are, and how far it is.

    `source` describes the rows. `results` is the table of results as JSON Lines; a CSV file of the same name
    lies beside it. `output` is the folder of the output files; empty: those of the tasks. `written_output`
    is its path in the results. `counts` are the ended rows by state, `total` all rows, `invalid` those that
    were skipped, and `nodes` how many run on each node of a cluster. `attempt` counts from 1 how often rows
    were stopped or run again. `identity` are the digests of what all rows share, by name. Times are in
    seconds since 1970.
    """

    id: str
    bundle: str
    name: str = ""
    created: float = 0.0
    ended: float | None = None
    source: dict[str, Any] = msgspec.field(default_factory=dict)
    results: str = ""
    output: str = ""
    written_output: str = ""
    total: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    invalid: int = 0
    nodes: dict[str, int] = msgspec.field(default_factory=dict)
    attempt: int = 1
    identity: dict[str, str] = msgspec.field(default_factory=dict)
    owner: ProcessId | None = None

    @property
    def short_id(self) -> str:
        return self.id[:8]

    @property
    def owner_name(self) -> str:
        """The process that runs it, in a message."""
        return "another process" if self.owner is None else f"process {self.owner.pid}"


class BatchStore:
    """The folder of the batches."""

    def __init__(self, home: Path) -> None:
        self.path = home / "batches"

    def folder(self, batch: str) -> Path:
        return self.path / batch

    def create(self, batch: str = "", **fields: Any) -> BatchRecord:
        """Create a batch under an id, or a new one. Raises `LocalrunError` if it cannot be written."""
        record = BatchRecord(id=batch or str(uuid.uuid4()), created=time.time(), **fields)
        with fs.wrap_os_errors(self.path.parent):
            self.folder(record.id).mkdir(parents=True, exist_ok=bool(batch))
            ignored = self.path.parent / ".gitignore"
            if not ignored.exists():
                ignored.write_text("*\n")
        self.save(record)
        return record

    def save(self, record: BatchRecord) -> None:
        fs.write_atomic(str(self.folder(record.id) / "batch.json"), record.to_json())

    def load(self, batch: str) -> BatchRecord | None:
        """Return the record of a batch by its whole id; None if there is none. Safe for untrusted ids."""
        if not _ID.fullmatch(batch):
            return None
        try:
            return BatchRecord.from_json(fs.read_regular(self.folder(batch) / "batch.json"))
        except (OSError, ValueError):
            return None

    def newest_first(self) -> Iterator[BatchRecord]:
        try:
            names = os.listdir(self.path)  # noqa: PTH208 - names
        except FileNotFoundError:
            return
        found = [record for name in names if (record := self.load(name)) is not None]
        yield from sorted(found, key=lambda record: record.created, reverse=True)

    def find(self, results: Path | None, bundle: str, source: Mapping[str, Any]) -> BatchRecord | None:
        """Return the newest batch with its results in a file.

        None: in its own folder, with this bundle and rows from the same table, or over the same inputs.
        """
        wanted = (bundle, *_origin(source))
        for record in self.newest_first():
            if results is not None:
                is_it = record.results == str(results)
            else:
                is_own = record.results == str(self.results(record.id))
                is_it = is_own and (record.bundle, *_origin(record.source)) == wanted
            if is_it:
                return record
        return None

    def results(self, batch: str) -> Path:
        """Return the results of a batch that does not write them elsewhere."""
        return self.folder(batch) / "results.jsonl"

    def archive(self, record: BatchRecord) -> None:
        """Copy the results of a batch to its own folder, because another one replaces them.

        Raises `UsageError` if it runs.
        """
        own = self.results(record.id)
        with fs.locked(self.acquire(record)), fs.wrap_os_errors(own.parent):
            with suppress(FileNotFoundError):
                shutil.copyfile(record.results, own)
            self.save(record.replace(results=str(own)))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other process change which batch has which results during the block."""
        with fs.locked(_open_folder(self.path)):
            yield

    def acquire(self, record: BatchRecord) -> int:
        """Lock a batch until the returned descriptor is closed. Raises `UsageError` if it is locked."""
        descriptor = _open_folder(self.folder(record.id))
        if fs.try_lock(descriptor):
            return descriptor
        os.close(descriptor)
        raise UsageError(
            f"batch {record.short_id} is run by {record.owner_name}",
            remedy="wait for its end, or stop that process with Ctrl+C",
        )

    def state(self, record: BatchRecord) -> BatchState:
        """Return whether a process runs the batch, or all of its rows have ended, or it was stopped."""
        if fs.is_locked(self.folder(record.id)):
            return "running"
        return "stopped" if record.ended is None else "ended"


def _open_folder(path: Path) -> int:
    with fs.wrap_os_errors(path):
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _origin(source: Mapping[str, Any]) -> tuple[object, list[str]]:
    return source.get("table"), sorted(source.get("axes", ()))
