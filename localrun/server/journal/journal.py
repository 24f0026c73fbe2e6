"""The journal: writes each event to its files, in whole lines."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from localrun.errors import LocalrunError
from localrun.masking.redaction import Redactor, encode
from localrun.server.journal import formats, reader
from localrun.server.journal.log_file import LogFile, lock_folder
from localrun.server.journal.reader import Filter, Line
from localrun.server.timestamps import now

VOLATILE_EVENTS = frozenset({"heartbeat", "task_stats"})  # written regularly, whatever happens

# the events of a batch, with their journal
_BATCH: ContextVar[tuple[Journal, list[JournalEntry]] | None] = ContextVar("batch", default=None)

# the id of the current request, which its events contain
REQUEST_ID: ContextVar[str | None] = ContextVar("request", default=None)


class JournalEntry(NamedTuple):
    """An event to write: its fields, and its JSON line without the time."""

    event_type: str
    body: str
    fields: dict[str, Any]
    volatile: bool


class Journal:
    """The logs in a folder, written by any number of threads and processes.

    A file is rotated before it exceeds `max_bytes`; `keep` old ones are kept. The values `redact` are never
    written. Raises `LocalrunError` if the folder is not writable.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int = 32 * 1024**2, keep: int = 5, redact: Iterable[str] = ()
    ) -> None:
        self.folder = folder
        self.lost = 0  # events that were not written since the last successful write
        self._redactor = Redactor(redact)
        keep = max(keep, 1)
        self._detailed = LogFile(folder / "heartbeat_detailed.jsonl", max_bytes, keep, _repair_json)
        self._events = LogFile(folder / "heartbeat_events.log", max_bytes, keep, _repair_text)
        self._errors = LogFile(folder / "heartbeat_errors.log", max_bytes, keep, _repair_text)
        self._stats = LogFile(folder / "heartbeat_stats.jsonl", max_bytes, keep, _repair_json)
        self._listeners: tuple[Callable[[bytes], None], ...] = ()
        self._create_files()

    def close(self) -> None:
        """Close the files. The next event opens them again."""
        with suppress(OSError), lock_folder(self.folder):  # the folder may have been removed
            for file in (self._detailed, self._events, self._errors, self._stats):
                file.close()

    def subscribe(self, listener: Callable[[bytes], None]) -> None:
        """Call `listener` with each line that this process writes, except frequent events."""
        self._listeners = (*self._listeners, listener)

    def add_secret(self, secret: str) -> None:
        """Redact this value in all further events."""
        self._redactor.add_secret(secret)

    def emit(
        self,
        event_type: str,
        *,
        request_id: str | None = None,
        action: str | None = None,
        data: Any = None,
        metadata: Any = None,
        volatile: bool = False,
    ) -> None:
        """Write an event to the files before returning.

        The default of `request_id` is `REQUEST_ID`. `volatile` marks frequent events, such as the response
        to a poll. Never raises because of the data or a full disk: the next event that can be written
        reports how many were lost.
        """
        fields = {
            "request_id": request_id or REQUEST_ID.get(),
            "action": action,
            "data": data if data is not None else {},
            "metadata": metadata or {},
        }
        text = self._redactor.encode_fast(fields)
        if text is None:
            fields = {name: self._redactor.redact(part) for name, part in fields.items()}
        if event_type in formats.ERROR_EVENTS:
            fields["data"] = formats.normalize_error(fields["data"])
            text = None
        body = formats.make_searchable(encode(fields) if text is None else text)
        entry = JournalEntry(event_type, body, fields, volatile or event_type in VOLATILE_EVENTS)
        batch = _BATCH.get()
        if batch is not None and batch[0] is self:
            batch[1].append(entry)
        else:
            self._write([entry])

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Collect the events emitted during the block, and write them together at its end.

        Opening the files is the most expensive part, and a request may emit four events.
        """
        entries: list[JournalEntry] = []
        token = _BATCH.set((self, entries))
        try:
            yield
        finally:
            _BATCH.reset(token)
            self._write(entries)

    def _write(self, entries: list[JournalEntry]) -> None:
        try:
            with lock_folder(self.folder):
                self._append([entry for entry in entries if not entry.volatile])
                for entry in entries:
                    if entry.volatile:
                        self._stats.append(formats.json_line(now(), entry.event_type, entry.body))
        except OSError:
            self.lost += len(entries)

    def read(
        self, *, task_id: str | None = None, event_type: str | None = None, request_id: str | None = None
    ) -> Iterator[Line]:
        """Yield the events so far, the oldest first. Volatile ones are only found by their type."""
        return reader.read(self._file_of(event_type), Filter(task_id, event_type, request_id))

    def read_back(
        self,
        *,
        before: str | None = None,
        limit: int = 200,
        task_id: str | None = None,
        event_type: str | None = None,
    ) -> tuple[list[Line], str | None]:
        """Return the last events before a position, the newest first, and the position to continue at.

        Raises `ValueError` for an invalid position.
        """
        line_filter = Filter(task_id, event_type, None)
        return reader.read_back(self._file_of(event_type), line_filter, before, limit)

    def follow(
        self,
        *,
        task_id: str | None = None,
        event_type: str | None = None,
        request_id: str | None = None,
        past: bool = False,
        every: float = 0.25,
        stop: threading.Event | None = None,
    ) -> Iterator[Line]:
        """Yield new events until `stop` is set, after the existing ones if `past` is true.

        Polls the files every `every` seconds.
        """
        line_filter = Filter(task_id, event_type, request_id)
        stop = stop or threading.Event()
        return reader.follow(self._file_of(event_type), line_filter, past=past, every=every, stop=stop)

    def _create_files(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with lock_folder(self.folder):
                for file in (self._detailed, self._events, self._errors):
                    file.open()
        except OSError as error:
            raise LocalrunError(
                f"cannot write to the log folder {self.folder}: {error.strerror}",
                remedy="make it writable, or set LOCALRUN_LOGS to another folder",
                path=str(self.folder),
            ) from error

    def _file_of(self, event_type: str | None) -> LogFile:
        return self._stats if event_type in VOLATILE_EVENTS else self._detailed

    def _append(self, entries: list[JournalEntry]) -> None:
        if not entries:
            return
        when = now()  # under the lock, so that the files are ordered by time
        lines = [formats.json_line(when, entry.event_type, entry.body) for entry in entries]
        gap = _note(when, "journal_gap", lost=self.lost) if self.lost else b""
        self._detailed.append(gap + b"".join(lines))
        self.lost = 0
        for listener in self._listeners:
            for line in lines:
                listener(line)
        self._events.append(b"".join(_brief(when, entry) for entry in entries))
        errors = [
            formats.error_block(when, entry.fields["data"])
            for entry in entries
            if entry.event_type in formats.ERROR_EVENTS
        ]
        if errors:
            self._errors.append(b"".join(errors))


def _brief(when: str, entry: JournalEntry) -> bytes:
    fields = entry.fields
    return formats.event_line(when, entry.event_type, fields["request_id"], fields["action"], fields["data"])


def _note(when: str, event_type: str, **data: int) -> bytes:
    return formats.json_line(when, event_type, formats.encode_fields(None, None, data, {}))


def _repair_json(fragment: bytes) -> bytes:
    """Complete a line that only lacks its end; replace any other fragment by a `journal_torn` event."""
    try:
        if isinstance(json.loads(fragment), dict):
            return fragment + b"\n"
    except (ValueError, RecursionError):
        pass
    return _note(now(), "journal_torn", bytes=len(fragment))


def _repair_text(fragment: bytes) -> bytes:
    return fragment + b"\n"
