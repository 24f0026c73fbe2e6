"""The log of a task's program, bounded in size.

The log holds both streams in the order of their arrival. A second file says which part is of which stream:
it has a line `OFFSET STREAM` for each change of the stream. The first stream is standard output. A third one
has a line `OFFSET TIME` (seconds since 1970) for output after a second or more. Lines that start with
`[localrun: ` mark where output is missing.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from localrun import fs
from localrun.engines.base import StreamName
from localrun.engines.log_position import STREAM_NAMES as STREAMS
from localrun.engines.log_position import LogPosition, Tail
from localrun.units import format_bytes

_END = 1024**2  # bytes of the end that are kept beyond the limit
_TAIL = 64 * 1024  # bytes of the end that are searched for the reason of a failure
_CHANGES = 100_000  # of the stream; later output counts for the last stream
_TIME_INTERVAL = 1.0  # seconds between two times in the log
_CHUNK = 1024**2


class TaskLog:
    """A log file of at most `limit` bytes and the end of the output; shorter on a full disk.

    Beyond the limit, the last MiB of the output is kept. With `resume`, the log of a process that died is
    continued, and `position` says how far it goes. Not thread-safe.
    """

    def __init__(self, path: Path, limit: int, *, resume: bool = False) -> None:
        self._path = path
        self._limit = limit
        self.has_gap = False
        self._open(resume=resume)

    def _open(self, *, resume: bool) -> None:
        self._end = Tail(_END)
        self._changed = 0
        self._name: str = STREAMS[0]
        self._omitted = 0
        self._write_error = ""
        self.size = 0  # bytes that the program has written, including omitted ones
        self.position = LogPosition()
        if resume:
            self._read_existing()
        else:
            for path in (_changes_file(self._path), _times_file(self._path)):
                path.unlink(missing_ok=True)
        self._times = len(read_times(self._path)) if resume else 0
        self._timed = 0.0  # when the last one was written
        self._stream = open(self._path, "ab", buffering=0, opener=fs.private)  # noqa: SIM115
        self._remaining = max(0, self._limit - self.size)

    def _read_existing(self) -> None:
        """Continue the file, without the end that a process may have appended beyond the limit."""
        with suppress(OSError):
            if self._path.stat().st_size > self._limit:
                os.truncate(self._path, self._limit)
        for name, data in _read_parts(self._path):
            self._note(name, data)
        changes = _changes(self._path)
        self._changed = len(changes)
        self._name = changes[-1][1] if changes else STREAMS[0]

    def _note(self, name: StreamName, data: bytes) -> None:
        self.size += len(data)
        self.position.advance(name, data)
        self._end.append(data)

    def restart(self) -> None:
        """Delete the content: the whole output follows from its start."""
        self._stream.close()
        self._path.unlink(missing_ok=True)  # not truncated: a reader keeps the old file
        self._open(resume=False)

    def write(self, data: bytes, stream: StreamName = "stdout") -> None:
        self._note(stream, data)
        self._note_time()
        if stream != self._name and self._remaining and self._changed < _CHANGES:
            self._name = stream
            self._changed += 1
            path = _changes_file(self._path)
            with suppress(OSError), open(path, "ab", opener=fs.private) as changes:
                changes.write(b"%d %s\n" % (self._stream.tell(), stream.encode()))
        written = self._append(data[: self._remaining]) if self._remaining else 0
        self._remaining -= written
        if written < len(data):
            self._remaining = 0
        self._omitted += len(data) - written

    def _note_time(self) -> None:
        now = time.time()
        if abs(now - self._timed) >= _TIME_INTERVAL and self._remaining and self._times < _CHANGES:
            self._timed = now
            self._times += 1
            with suppress(OSError), open(_times_file(self._path), "ab", opener=fs.private) as times:
                times.write(b"%d %.3f\n" % (self._stream.tell(), now))

    def _append(self, data: bytes) -> int:
        try:
            return self._stream.write(data) or 0
        except OSError as error:  # the disk is full: the program is followed nevertheless
            self._write_error = error.strerror or str(error)
            return 0

    def mark_gap(self) -> None:
        """Mark that an unknown part of the output is missing here."""
        self.has_gap = True
        mark = b"\n[localrun: output is missing here; the engine no longer had it]\n"
        if self._remaining:
            self._append(mark)
        else:
            self._omitted += len(mark)
        self._end.append(mark)

    @property
    def tail(self) -> str:
        """The last 64 KiB of the output, as text."""
        return self._end.last(_TAIL).decode("utf-8", "replace")

    def close(self) -> None:
        """Close the file. Beyond the limit, append the size of the omitted output and the last MiB."""
        if self._stream.closed:
            return
        if self._omitted:
            end = self._end.last(min(self._omitted, _END))
            self._omitted -= len(end)
            mark = f"\n[localrun: {format_bytes(self._omitted)} of output omitted]\n" if self._omitted else ""
            self._omitted += len(end) - max(0, self._append(mark.encode() + end) - len(mark))
        self._stream.close()

    def warnings(self) -> list[str]:
        """Return what is missing in the closed log, for the user."""
        found = []
        if self.has_gap:
            found.append("the log has a gap: localrun did not receive a part of the output")
        if self._write_error:
            size = format_bytes(self._omitted)
            found.append(f"the log is incomplete: {size} of output not written: {self._write_error}")
        elif self._omitted:
            found.append(
                f"the log is incomplete: {format_bytes(self._omitted)} of output omitted"
                f" (limit {format_bytes(self._limit)}; see LOCALRUN_LOG_LIMIT)"
            )
        return found


def _read_parts(path: Path) -> Iterator[tuple[StreamName, bytes]]:
    """Yield the content of a log, by streams."""
    try:
        stream = fs.open_regular(path)
    except FileNotFoundError:
        return
    with stream:
        size = os.fstat(stream.fileno()).st_size
        starts = [(0, STREAMS[0]), *((at, name) for at, name in _changes(path) if at < size), (size, "")]
        for (start, name), (end, _) in pairwise(starts):
            left = end - start
            while left > 0 and (data := stream.read(min(_CHUNK, left))):
                left -= len(data)
                yield name if name in STREAMS else STREAMS[0], data


def tail_by_stream(path: Path, longest: int) -> dict[str, str]:
    """Return the last `longest` characters of each stream, by stream name.

    Output that was omitted beyond the limit counts for the stream that was current then.
    """
    pieces: dict[str, bytes] = dict.fromkeys(STREAMS, b"")
    try:
        data = fs.read_regular(path)
    except FileNotFoundError:
        data = b""
    parts = [(0, STREAMS[0]), *_changes(path), (len(data), "")]
    for (start, name), (end, _) in reversed(list(pairwise(parts))):
        if name in pieces and len(pieces[name]) < 4 * longest:  # a character has at most four bytes
            pieces[name] = data[max(start, end - 4 * longest) : end] + pieces[name]
    return {name: piece.decode("utf-8", "replace")[-longest:] for name, piece in pieces.items()}


def _changes(path: Path) -> list[tuple[int, str]]:
    try:
        lines = fs.read_regular(_changes_file(path)).decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return []
    found = (re.fullmatch(r"([0-9]{1,19})\s+(\S+)\s*", line) for line in lines)
    return [(int(one[1]), one[2]) for one in found if one]


def read_changes(path: Path) -> list[tuple[int, str]]:
    """Return the offsets in a log from which on the output is of another stream, and these streams."""
    return [(0, STREAMS[0]), *_changes(path)]


def read_times(path: Path) -> list[tuple[int, float]]:
    """Return offsets in a log and the times when the output there arrived; none for an old log."""
    try:
        lines = fs.read_regular(_times_file(path)).decode("ascii", "replace").splitlines()
    except OSError:
        return []
    found = (re.fullmatch(r"([0-9]{1,19}) ([0-9]{1,12}\.[0-9]{3})", line) for line in lines)
    return [(int(one[1]), float(one[2])) for one in found if one]


def _times_file(path: Path) -> Path:
    return path.with_suffix(".times")


def _changes_file(path: Path) -> Path:
    return path.with_suffix(".streams")
