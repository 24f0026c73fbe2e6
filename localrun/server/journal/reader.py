"""Reads and follows a journal, including its rotated files."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from localrun import fs
from localrun.server.journal.log_file import LogFile, lock_folder

Line = dict[str, Any]

_PIECE = 64 * 1024  # bytes to read at once from the end


class Filter(NamedTuple):
    """Selects lines by task (id or its start), type and request; None selects all."""

    task_id: str | None = None
    event_type: str | None = None
    request_id: str | None = None

    def matches(self, line: Line) -> bool:
        return (
            self.event_type in (None, line.get("event_type"))
            and self.request_id in (None, line.get("request_id"))
            and (self.task_id is None or any(task.startswith(self.task_id) for task in _tasks(line)))
        )


def read(file: LogFile, line_filter: Filter) -> Iterator[Line]:
    """Yield the lines written so far, the oldest first. Lines that are not JSON objects are skipped."""
    with ExitStack() as stack:
        for stream in [stack.enter_context(stream) for stream in _open_all(file)]:
            yield from _matching(stream.read(os.fstat(stream.fileno()).st_size).splitlines(), line_filter)


def read_back(
    file: LogFile, line_filter: Filter, before: str | None, limit: int
) -> tuple[list[Line], str | None]:
    """Return the last lines before a position, the newest first, and the position of the oldest one.

    The position is None if there are no older lines. One in a file that has been deleted since is unknown,
    and stands for the end. Raises `ValueError` for anything else.
    """
    inode, offset = _position(before)
    found: list[Line] = []
    with ExitStack() as stack:
        streams = [stack.enter_context(stream) for stream in _open_all(file)]
        known = [os.fstat(stream.fileno()).st_ino for stream in streams]
        is_known = inode in known
        for stream, number in zip(reversed(streams), reversed(known), strict=True):
            if is_known and known.index(number) > known.index(inode):
                continue  # newer
            end = offset if number == inode else os.fstat(stream.fileno()).st_size
            for start, text in _lines_back(stream, end):
                for line in _matching([text], line_filter):
                    found.append(line)
                    if len(found) == limit:
                        return found, f"{number}-{start}"
    return found, None


def _position(text: str | None) -> tuple[int, int]:
    if text is None:
        return -1, 0
    inode, _, offset = text.partition("-")
    if not (inode + offset).isascii() or not inode.isdigit() or not offset.isdigit() or len(text) > 40:
        raise ValueError(f"invalid position {text[:80]!r}")
    return int(inode), int(offset)


def _lines_back(stream: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines before an offset, the last one first, each with its own offset."""
    rest = b""  # the end of a line that starts in an earlier piece
    while end > 0:
        start = max(0, end - _PIECE)
        stream.seek(start)
        data = stream.read(end - start) + rest
        cut = data.find(b"\n") + 1 if start else 0
        offset, lines = start + cut, []
        for line in data[cut:].split(b"\n") if cut or not start else ():
            lines.append((offset, line))
            offset += len(line) + 1
        yield from ((at, line) for at, line in reversed(lines) if line)
        rest, end = data[:cut] if cut or not start else data, start


def follow(
    file: LogFile, line_filter: Filter, *, past: bool, every: float, stop: threading.Event
) -> Iterator[Line]:
    """Yield new lines until `stop` is set, after those written so far if `past` is true.

    Polls the file with one `stat` every `every` seconds.
    """
    tail = _Tail(file, past=past)
    try:
        while True:
            is_last = stop.is_set()
            yield from _matching(tail.lines(), line_filter)
            if is_last:
                return
            stop.wait(every)
    finally:
        tail.close()


class _Tail:
    """A position in a log that can grow, be rotated, moved or truncated."""

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
        """Yield the complete lines added since the last call."""
        yield from self._added()
        while self._moved():
            yield from self._added()  # the rest of the rotated file
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
            current = self._file.path.stat()
        except OSError:
            return False
        return self._stream is None or not os.path.samestat(current, os.fstat(self._stream.fileno()))

    def _next(self) -> None:
        """Switch to the next file, which may have been rotated, too."""
        streams = _open_all(self._file)
        after = self._after(streams)
        for stream in streams:
            if stream is not after:
                stream.close()
        self.close()
        self._stream, self._rest = after, b""

    def _after(self, streams: list[BinaryIO]) -> BinaryIO | None:
        if self._stream is not None:
            own = os.fstat(self._stream.fileno())
            for number, stream in enumerate(streams[:-1]):
                if os.path.samestat(own, os.fstat(stream.fileno())):
                    return streams[number + 1]
        return streams[-1] if streams else None


def _open_all(file: LogFile) -> list[BinaryIO]:
    with lock_folder(file.path.parent):  # no rotation in between
        return [stream for stream in map(_open, file.versions()) if stream is not None]


def _open(path: Path) -> BinaryIO | None:
    try:
        return fs.open_regular(path)
    except OSError:
        return None


def _matching(lines: Iterable[bytes], line_filter: Filter) -> Iterator[Line]:
    for text in lines:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict) and line_filter.matches(line):
            yield line


def _tasks(line: Line) -> Iterator[str]:
    for key in ("data", "metadata"):
        part = line.get(key)
        if isinstance(part, dict) and isinstance(part.get("task_id"), str):
            yield part["task_id"]
