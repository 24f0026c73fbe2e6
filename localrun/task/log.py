"""What a task's program writes: kept on disk within a limit, its end always.

The log holds both streams as they came. Which part is of which stream stands beside it: a line
`OFFSET STREAM` for each place where the stream changes, the first one being standard output.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from localrun.units import format_bytes

_TAIL = 64 * 1024  # bytes of the end that are kept when the limit is passed
_CHANGES = 100_000  # of stream; what comes later counts for the last one
STREAMS = ("stdout", "stderr")


class TaskLog:
    """A log file that stops growing at `limit` bytes, or with the disk, and still ends with the last lines.

    Used from one thread at a time: the one that follows the container.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._changes = _beside(path)
        self._changes.unlink(missing_ok=True)
        self._changed = 0
        self._name = STREAMS[0]
        self._stream = path.open("ab", buffering=0)
        self._room = limit
        self._left_out = 0
        self.size = 0  # bytes that the program has written, also those that were left out
        self._tail: deque[bytes] = deque()
        self._tail_size = 0

    def write(self, data: bytes, stream: str = STREAMS[0]) -> None:
        """Add what the program wrote to one of its streams."""
        self.size += len(data)
        if stream != self._name and self._room:
            self._change(stream)
        kept = self._written(data[: self._room])
        self._room -= kept
        if kept < len(data):
            self._room = 0
        self._left_out += len(data) - kept
        self._remember(data)

    def _change(self, stream: str) -> None:
        if self._changed == _CHANGES:
            return
        self._name = stream
        self._changed += 1
        with suppress(OSError), self._changes.open("ab") as changes:
            changes.write(b"%d %s\n" % (self._stream.tell(), stream.encode()))

    def _written(self, data: bytes) -> int:
        try:
            return self._stream.write(data) or 0
        except OSError:  # no room: the program may have filled the disk, and has to be followed all the same
            return 0

    def _remember(self, data: bytes) -> None:
        self._tail.append(data[-_TAIL:])
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) >= _TAIL:
            self._tail_size -= len(self._tail.popleft())

    @property
    def tail(self) -> str:
        """The last 64 KiB or more, as text."""
        return b"".join(self._tail).decode("utf-8", "replace")

    def close(self) -> None:
        """Finish the file: where the limit was passed, say how much is missing and add the end."""
        if self._stream.closed:
            return
        if self._left_out:
            end = b"".join(self._tail)[-min(self._left_out, _TAIL) :]
            missing = self._left_out - len(end)
            mark = f"\n[localrun: {format_bytes(missing)} of output left out here]\n".encode()
            with suppress(OSError):
                self._stream.write(mark + end)
        self._stream.close()


def tail_by_stream(path: Path, longest: int) -> dict[str, str]:
    """The last `longest` characters that the program wrote to each of its streams, by their names.

    What was left out for the limit counts for the stream that was written to then.
    """
    pieces: dict[str, bytes] = dict.fromkeys(STREAMS, b"")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    places = [(0, STREAMS[0]), *_places(path), (len(data), "")]
    for (begin, name), (end, _) in reversed(list(pairwise(places))):
        if name in pieces and len(pieces[name]) < 4 * longest:  # a character has at most four bytes
            pieces[name] = data[max(begin, end - 4 * longest) : end] + pieces[name]
    return {name: piece.decode("utf-8", "replace")[-longest:] for name, piece in pieces.items()}


def _places(path: Path) -> list[tuple[int, str]]:
    try:
        lines = _beside(path).read_text("ascii", "replace").splitlines()
    except FileNotFoundError:
        return []
    parts = [line.split() for line in lines]
    return [(int(part[0]), part[1]) for part in parts if len(part) == 2 and part[0].isdecimal()]


def _beside(path: Path) -> Path:
    return path.with_suffix(".streams")
