"""Reading a journal back: all of it, also what was rotated away, and what comes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from localrun.server.journal.log_file import LogFile, lock_folder

Line = dict[str, Any]


class Filter(NamedTuple):
    """Which lines: of one task (the start of its id will do), type or request; None: of any."""

    task_id: str | None = None
    event_type: str | None = None
    request_id: str | None = None

    def matches(self, line: Line) -> bool:
        """Whether a line is one of these."""
        return (
            self.event_type in (None, line.get("event_type"))
            and self.request_id in (None, line.get("request_id"))
            and (self.task_id is None or any(task.startswith(self.task_id) for task in _tasks(line)))
        )


def read(file: LogFile, wanted: Filter) -> Iterator[Line]:
    """The lines that were there when it began, the oldest first; what is no JSON object is passed over."""
    with ExitStack() as stack:
        for stream in _all_open(file, stack):
            yield from _fitting(stream.read(os.fstat(stream.fileno()).st_size).splitlines(), wanted)


def follow(
    file: LogFile, wanted: Filter, *, past: bool, every: float, stop: threading.Event
) -> Iterator[Line]:
    """The lines that come after the first was asked for, until `stop` is set; with the `past`, all.

    Files tell nobody that they grew, so it looks `every` so many seconds; one look is one `stat`.
    """
    tail = _Tail(file, past=past)
    try:
        while True:
            ending = stop.is_set()
            yield from _fitting(tail.lines(), wanted)
            if ending:
                return
            stop.wait(every)
    finally:
        tail.close()


class _Tail:
    """A place in a log that grows, is rotated, moved away, or made empty."""

    def __init__(self, file: LogFile, *, past: bool) -> None:
        self._file = file
        self._rest = b""
        with lock_folder(file.path.parent):
            self._stream = _open([*file.versions(), file.path][0] if past else file.path)
        if self._stream is not None and not past:
            self._stream.seek(0, os.SEEK_END)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def lines(self) -> Iterator[bytes]:
        """What was added since the last call, in whole lines."""
        yield from self._added()
        while self._moved():
            yield from self._added()  # of the file that has just been left behind
            self._next()
            yield from self._added()

    def _added(self) -> Iterator[bytes]:
        if self._stream is None:
            return
        if os.fstat(self._stream.fileno()).st_size < self._stream.tell():
            self._stream.seek(0)
            self._rest = b""
        text = self._rest + self._stream.read()
        *whole, self._rest = text.split(b"\n")
        yield from whole

    def _moved(self) -> bool:
        try:
            present = self._file.path.stat()
        except OSError:
            return False
        return self._stream is None or not os.path.samestat(present, os.fstat(self._stream.fileno()))

    def _next(self) -> None:
        """Go on with the file that came after ours, which may have been rotated already itself."""
        with lock_folder(self._file.path.parent):
            streams = [stream for stream in map(_open, self._file.versions()) if stream is not None]
        after = self._after(streams)
        for stream in streams:
            if stream is not after:
                stream.close()
        self.close()
        self._stream, self._rest = after, b""

    def _after(self, streams: list[BinaryIO]) -> BinaryIO | None:
        if self._stream is not None:
            mine = os.fstat(self._stream.fileno())
            for number, stream in enumerate(streams[:-1]):
                if os.path.samestat(mine, os.fstat(stream.fileno())):
                    return streams[number + 1]
        return streams[-1] if streams else None


def _all_open(file: LogFile, stack: ExitStack) -> list[BinaryIO]:
    with lock_folder(file.path.parent):  # so that none is renamed between two of them
        streams = [stream for stream in map(_open, file.versions()) if stream is not None]
    return [stack.enter_context(stream) for stream in streams]


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except OSError:
        return None


def _fitting(lines: list[bytes] | Iterator[bytes], wanted: Filter) -> Iterator[Line]:
    for text in lines:
        line = _parse(text)
        if line is not None and wanted.matches(line):
            yield line


def _parse(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _tasks(line: Line) -> Iterator[str]:
    for key in ("data", "metadata"):
        part = line.get(key)
        if isinstance(part, dict) and isinstance(part.get("task_id"), str):
            yield part["task_id"]
