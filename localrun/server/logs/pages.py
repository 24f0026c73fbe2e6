"""Pages of a log as JSON: lines with their number, offset, stream and time."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from localrun import fs
from localrun.server.logs.line_index import STEP, LineIndex, LineIndexes
from localrun.task.log import read_changes, read_times

MAX_LINES = 5000  # of a page
MAX_TEXT = 10_000  # characters of a line
MAX_MATCH_TEXT = 500  # characters of a match
_MAX_SCANNED = 64 * STEP  # bytes that one search reads
_OWN = b"[localrun: "

Fields = dict[str, Any]


class Start(NamedTuple):
    """Where a page starts: at a line, at the line that contains a byte, or with the last lines."""

    line: int | None = None
    byte: int | None = None
    tail: int | None = None


class LogPages:
    """Reads pages of logs. Thread-safe."""

    def __init__(self) -> None:
        self._indexes = LineIndexes()

    def page(self, path: Path, start: Start, limit: int, *, whole_lines: bool = False) -> Fields:
        """Return the lines from a start, at most `limit` and about a MiB of them.

        With `whole_lines`, a last line without its line break is left out, because it may still grow.
        """
        with self._open(path) as log:
            if log is None:
                return _empty()
            offset = log.offset(start)
            number = log.index.line_at(log.stream, offset)
            entries, end = log.read(offset, number, min(limit, MAX_LINES), whole_lines=whole_lines)
            return {
                "size": log.index.size,
                "lines": log.index.lines,
                "start": {"line": number, "byte": offset},
                "end": {"line": number + len(entries), "byte": end},
                "entries": entries,
            }

    def find(self, path: Path, text: str, start: int, limit: int, stream: str | None = None) -> Fields:
        """Return the lines that contain a text, at most `limit`. The case of ASCII letters is ignored.

        An empty text is in all lines. `next` is the byte where to continue, or None after the last match.
        """
        with self._open(path) as log:
            if log is None:
                return {"size": 0, "lines": 0, "matches": [], "more": False, "next": None}
            matches, end = log.find(text.encode(errors="replace"), start, min(limit, MAX_LINES), stream)
            more = end < log.index.size
            return {
                "size": log.index.size,
                "lines": log.index.lines,
                "matches": matches,
                "more": more,
                "next": end if more else None,
            }

    def tail_offset(self, path: Path, lines: int) -> int:
        """Return the offset of the last lines."""
        with self._open(path) as log:
            return 0 if log is None else log.offset(Start(tail=lines))

    @contextmanager
    def _open(self, path: Path) -> Iterator[_Log | None]:
        try:
            stream = fs.open_regular(path)
        except OSError:
            yield None
            return
        with stream:
            status = os.fstat(stream.fileno())
            with self._indexes.using((status.st_dev, status.st_ino), status.st_size) as index:
                index.update(stream, status.st_size)
                yield _Log(path, stream, index)


def _empty() -> Fields:
    start = {"line": 1, "byte": 0}
    return {"size": 0, "lines": 0, "start": start, "end": start, "entries": []}


class _Log:
    """An open log with its index."""

    def __init__(self, path: Path, stream: BinaryIO, index: LineIndex) -> None:
        self.stream = stream
        self.index = index
        changes, times = read_changes(path), read_times(path)
        self._changes = [offset for offset, _ in changes], [name for _, name in changes]
        self._times = [offset for offset, _ in times], [when for _, when in times]

    def offset(self, start: Start) -> int:
        if start.line is not None:
            return self.index.offset_of(self.stream, start.line)
        if start.byte is not None:
            is_end = start.byte >= self.index.size  # also after a last line that is not complete
            return self.index.size if is_end else self.index.start_of_line(self.stream, start.byte)
        if start.tail is not None:
            return self.index.offset_of(self.stream, max(1, self.index.lines - start.tail + 1))
        return 0

    def read(self, offset: int, number: int, limit: int, *, whole_lines: bool) -> tuple[list[Fields], int]:
        """Return the lines from an offset, where the line `number` starts, and the offset after them."""
        self.stream.seek(offset)
        data = self.stream.read(min(STEP, self.index.size - offset))
        is_end = offset + len(data) >= self.index.size
        entries: list[Fields] = []
        position = 0
        while position < len(data) and len(entries) < limit:
            end = data.find(b"\n", position) + 1
            if end == 0:
                if not is_end and not entries:  # one line of more than a MiB
                    line = data[position:]
                    after = self._after_line(offset + len(data))
                    return [self._entry(offset, number, line, is_cut=True)], after
                if not is_end or whole_lines:
                    break
                end = len(data)
            entries.append(self._entry(offset + position, number + len(entries), data[position:end]))
            position = end
        return entries, offset + position

    def _after_line(self, offset: int) -> int:
        """Return the offset after the line break that follows an offset; the end if there is none."""
        self.stream.seek(offset)
        while data := self.stream.read(min(STEP, self.index.size - offset)):
            found = data.find(b"\n")
            if found >= 0:
                return offset + found + 1
            offset += len(data)
        return offset

    def _entry(self, offset: int, number: int, line: bytes, *, is_cut: bool = False) -> Fields:
        text = line[: 4 * MAX_TEXT].decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
        fields = {
            "line": number,
            "byte": offset,
            "stream": self._stream(offset, line),
            "time": self._time(offset),
        }
        is_cut = is_cut or len(text) > MAX_TEXT or len(line) > 4 * MAX_TEXT
        return {**fields, "text": text[:MAX_TEXT], **({"cut": True} if is_cut else {})}

    def _stream(self, offset: int, line: bytes) -> str:
        offsets, names = self._changes
        return "localrun" if line.startswith(_OWN) else names[bisect_right(offsets, offset) - 1]

    def _time(self, offset: int) -> float | None:
        offsets, times = self._times
        found = bisect_right(offsets, offset) - 1
        return times[found] if found >= 0 else None

    def find(self, text: bytes, start: int, limit: int, stream: str | None) -> tuple[list[Fields], int]:
        """Return the matches from an offset, and the offset up to which the log was searched."""
        needle, found = text.lower(), []
        offset = self.offset(Start(byte=start))
        number, last = self.index.line_at(self.stream, offset), min(self.index.size, offset + _MAX_SCANNED)
        while offset < last:
            self.stream.seek(offset)
            data = self.stream.read(min(STEP, self.index.size - offset))
            is_end = offset + len(data) >= self.index.size
            end = len(data) if is_end else data.rfind(b"\n") + 1 or len(data)  # whole lines
            lower, position = data[:end].lower(), 0
            counted = 0
            while position < end and (at := lower.find(needle, position)) >= 0:
                first = lower.rfind(b"\n", 0, at) + 1
                after = lower.find(b"\n", at) + 1 or end
                number += lower.count(b"\n", counted, first)
                counted = position = after
                if stream not in (None, self._stream(offset + first, data[first:after])):
                    position = max(after, self._next_of(stream, offset + after) - offset)
                else:
                    found.append(self._match(offset, number, data[first:after], first, at - first))
                number += lower.endswith(b"\n", first, after)
                if len(found) >= limit:
                    return found, offset + after
            number += lower.count(b"\n", counted)
            offset += end
        return found, offset

    def _next_of(self, stream: str | None, offset: int) -> int:
        """Return where output of a stream may start, at an offset or after it."""
        offsets, names = self._changes
        at = bisect_right(offsets, offset) - 1
        if stream not in ("stdout", "stderr") or names[at] == stream:
            return offset
        following = (start for start, name in zip(offsets[at:], names[at:], strict=True) if name == stream)
        return next(following, self.index.size)

    def _match(self, offset: int, number: int, line: bytes, first: int, column: int) -> Fields:
        entry = self._entry(offset + first, number, line)
        before = len(line[:column].decode("utf-8", "replace"))
        begin = max(0, before - MAX_MATCH_TEXT // 2) if len(entry["text"]) > MAX_MATCH_TEXT else 0
        text = line.decode("utf-8", "replace").rstrip("\r\n")[begin : begin + MAX_MATCH_TEXT]
        return {**entry, "text": text, "column": before - begin}
