"""The log of a task's program, bounded in size.

The log holds both streams in the order of their arrival. A second file says which part is of which stream:
it has a line `OFFSET STREAM` for each change of the stream. The first stream is standard output.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from localrun.units import format_bytes

_TAIL = 64 * 1024  # bytes of the end that are kept beyond the limit
_CHANGES = 100_000  # of the stream; later output counts for the last stream
STREAMS = ("stdout", "stderr")


class TaskLog:
    """A log file of at most `limit` bytes plus the last lines; shorter on a full disk. Not thread-safe."""

    def __init__(self, path: Path, limit: int) -> None:
        self._changes = _changes_file(path)
        self._changes.unlink(missing_ok=True)
        self._changed = 0
        self._name = STREAMS[0]
        self._stream = path.open("ab", buffering=0)
        self._remaining = limit
        self._omitted = 0
        self.size = 0  # bytes that the program has written, including omitted ones
        self._tail: deque[bytes] = deque()
        self._tail_size = 0

    def write(self, data: bytes, stream: str = STREAMS[0]) -> None:
        self.size += len(data)
        if stream != self._name and self._remaining and self._changed < _CHANGES:
            self._name = stream
            self._changed += 1
            with suppress(OSError), self._changes.open("ab") as changes:
                changes.write(b"%d %s\n" % (self._stream.tell(), stream.encode()))
        try:
            written = self._stream.write(data[: self._remaining]) or 0
        except OSError:  # the disk is full: the program is followed nevertheless
            written = 0
        self._remaining -= written
        if written < len(data):
            self._remaining = 0
        self._omitted += len(data) - written
        self._keep_tail(data)

    def _keep_tail(self, data: bytes) -> None:
        self._tail.append(data[-_TAIL:])
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) >= _TAIL:
            self._tail_size -= len(self._tail.popleft())

    @property
    def tail(self) -> str:
        """The last output, 64 KiB or more, as text."""
        return b"".join(self._tail).decode("utf-8", "replace")

    def close(self) -> None:
        """Close the file. Beyond the limit, append the size of the omitted output and the last lines."""
        if self._stream.closed:
            return
        if self._omitted:
            end = b"".join(self._tail)[-min(self._omitted, _TAIL) :]
            missing = self._omitted - len(end)
            mark = f"\n[localrun: {format_bytes(missing)} of output omitted]\n".encode()
            with suppress(OSError):
                self._stream.write(mark + end)
        self._stream.close()


def tail_by_stream(path: Path, longest: int) -> dict[str, str]:
    """Return the last `longest` characters of each stream, by stream name.

    Output that was omitted beyond the limit counts for the stream that was current then.
    """
    pieces: dict[str, bytes] = dict.fromkeys(STREAMS, b"")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    parts = [(0, STREAMS[0]), *_changes(path), (len(data), "")]
    for (start, name), (end, _) in reversed(list(pairwise(parts))):
        if name in pieces and len(pieces[name]) < 4 * longest:  # a character has at most four bytes
            pieces[name] = data[max(start, end - 4 * longest) : end] + pieces[name]
    return {name: piece.decode("utf-8", "replace")[-longest:] for name, piece in pieces.items()}


def _changes(path: Path) -> list[tuple[int, str]]:
    try:
        lines = _changes_file(path).read_text("ascii", "replace").splitlines()
    except FileNotFoundError:
        return []
    parts = [line.split() for line in lines]
    return [(int(part[0]), part[1]) for part in parts if len(part) == 2 and part[0].isdecimal()]


def _changes_file(path: Path) -> Path:
    return path.with_suffix(".streams")
