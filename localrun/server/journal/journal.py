"""The journal itself: where each event is written, and that nothing can keep a line from being whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from localrun.errors import LocalrunError
from localrun.masking.redaction import Redactor, encode
from localrun.server.journal import formats, reader
from localrun.server.journal.log_file import LogFile, lock_folder
from localrun.server.journal.reader import Filter, Line

VOLATILE_EVENTS = frozenset({"heartbeat", "task_stats"})  # come again and again, whatever happens

# events that are to be written together: journal, and what is known of each
_HELD: ContextVar[tuple[Journal, list[JournalEntry]] | None] = ContextVar("held", default=None)

# the request that the present code works for: events of it carry its id without being told
REQUEST_ID: ContextVar[str | None] = ContextVar("request", default=None)


class JournalEntry(NamedTuple):
    """An event as it is written: plain data, and the line of it but for its time."""

    event_type: str
    body: str
    fields: dict[str, Any]
    volatile: bool


class Journal:
    """The logs of a folder, which any number of threads and processes write to.

    A file that would pass `max_bytes` is renamed, and `keep` old ones of each are kept. `redact` are
    values that must never be written down. Raises `LocalrunError` when the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = 32 * 1024**2,
        keep: int = 5,
        redact: Iterable[str] = (),
    ) -> None:
        self.folder = folder
        self.lost = 0  # events since the last that could be written
        self._redactor = Redactor(redact)
        keep = max(keep, 1)
        self._detailed = LogFile(folder / "heartbeat_detailed.jsonl", max_bytes, keep, _mend_json)
        self._events = LogFile(folder / "heartbeat_events.log", max_bytes, keep, _mend_text)
        self._errors = LogFile(folder / "heartbeat_errors.log", max_bytes, keep, _mend_text)
        self._stats = LogFile(folder / "heartbeat_stats.jsonl", max_bytes, keep, _mend_json)
        self._begin()

    def add_secret(self, secret: str) -> None:
        """Never write this value down from now on."""
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
        """Write an event down; it is in the files when this returns.

        Without a `request_id` that of `REQUEST` is taken. `volatile`: one of those that come again and
        again, such as the answer to a poll. Never raises for what the data are, nor when the disk is
        full: the next event that can be written then tells how many are missing.
        """
        told = {
            "request_id": request_id or REQUEST_ID.get(),
            "action": action,
            "data": data if data is not None else {},
            "metadata": metadata or {},
        }
        text = self._redactor.encode_fast(told)
        if text is None:
            told = {name: self._redactor.redact(part) for name, part in told.items()}
        if text is None or event_type in formats.ERROR_EVENTS:
            told["data"] = (
                formats.normalize_error(told["data"]) if event_type in formats.ERROR_EVENTS else told["data"]
            )
            text = encode(told)
        entry = JournalEntry(
            event_type, formats.make_searchable(text), told, volatile or event_type in VOLATILE_EVENTS
        )
        held = _HELD.get()
        if held is not None and held[0] is self:
            held[1].append(entry)
        else:
            self._write([entry])

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Within it, what this context emits is kept, and written at its end, in its order.

        Opening the files costs more than all else; an answer that is made of four events pays once.
        """
        entries: list[JournalEntry] = []
        token = _HELD.set((self, entries))
        try:
            yield
        finally:
            _HELD.reset(token)
            self._write(entries)

    def _write(self, entries: list[JournalEntry]) -> None:
        try:
            with lock_folder(self.folder):
                self._append([entry for entry in entries if not entry.volatile])
                for entry in entries:
                    if entry.volatile:
                        self._stats.append(formats.json_line(formats.now(), entry.event_type, entry.body))
        except OSError:
            self.lost += len(entries)

    def read(
        self, *, task_id: str | None = None, event_type: str | None = None, request_id: str | None = None
    ) -> Iterator[Line]:
        """The events so far, also rotated ones, the oldest first; volatile ones by their type only."""
        return reader.read(self._file_of(event_type), Filter(task_id, event_type, request_id))

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
        """The events as they come, until `stop` is set; `past`: after all that were there before.

        Looks for them `every` so many seconds, because files tell nobody that they grew.
        """
        wanted = Filter(task_id, event_type, request_id)
        stop = stop or threading.Event()
        return reader.follow(self._file_of(event_type), wanted, past=past, every=every, stop=stop)

    def _begin(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with lock_folder(self.folder):
                for file in (self._detailed, self._events, self._errors):
                    file.touch()
        except OSError as error:
            raise LocalrunError(
                f"the log folder {self.folder} cannot be written: {error.strerror}",
                remedy="make it writable, or choose another one",
                path=str(self.folder),
            ) from error

    def _file_of(self, event_type: str | None) -> LogFile:
        return self._stats if event_type in VOLATILE_EVENTS else self._detailed

    def _append(self, entries: list[JournalEntry]) -> None:
        if not entries:
            return
        when = formats.now()  # under the lock, so that the files are in the order of time
        lines = b"".join(formats.json_line(when, entry.event_type, entry.body) for entry in entries)
        self._detailed.append(_gap(when, self.lost) + lines if self.lost else lines)
        self.lost = 0
        self._events.append(b"".join(_brief(when, entry) for entry in entries))
        errors = [
            formats.error_block(when, entry.fields["data"])
            for entry in entries
            if entry.event_type in formats.ERROR_EVENTS
        ]
        if errors:
            self._errors.append(b"".join(errors))


def _brief(when: str, entry: JournalEntry) -> bytes:
    told = entry.fields
    return formats.event_line(when, entry.event_type, told["request_id"], told["action"], told["data"])


def _gap(when: str, lost: int) -> bytes:
    return formats.json_line(when, "journal_gap", formats.encode_fields(None, None, {"lost": lost}, {}))


def _mend_json(fragment: bytes) -> bytes:
    """A line that only lacks its end is kept; of another one stays that it was there, as a JSON line."""
    try:
        if isinstance(json.loads(fragment), dict):
            return fragment + b"\n"
    except (ValueError, RecursionError):
        pass
    rest = formats.encode_fields(None, None, {"bytes": len(fragment)}, {})
    return formats.json_line(formats.now(), "journal_torn", rest)


def _mend_text(fragment: bytes) -> bytes:
    return fragment + b"\n"
