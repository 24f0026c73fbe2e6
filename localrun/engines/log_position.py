"""How far a log has been read, so that a second reading can continue there."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from localrun.engines.base import LogChunk, StreamName

STREAM_NAMES: tuple[StreamName, ...] = ("stdout", "stderr")
_PROBE = 512  # bytes at the end of a stream that are searched in another copy
_HEAD = 4096  # bytes of the first line that are compared with another copy
_KEPT = 64 * 1024  # bytes at the end of a stream that `ends_like` compares


class LogMismatch(Exception):
    """Another copy of a log does not start with what has been read."""


class Tail:
    """The last `size` bytes or more of a stream."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: deque[bytes] = deque()
        self._length = 0

    def append(self, data: bytes) -> None:
        if not data:
            return
        self._parts.append(data[-self._size :])
        self._length += len(self._parts[-1])
        while self._length - len(self._parts[0]) >= self._size:
            self._length -= len(self._parts.popleft())

    def last(self, size: int) -> bytes:
        """Return at most `size` bytes, which may not exceed the size of this object."""
        return b"".join(self._parts)[-size:] if size else b""


class LogPosition:
    """The number of bytes read from each stream, their checksum, and the start and end of the stream."""

    def __init__(self) -> None:
        self._length = dict.fromkeys(STREAM_NAMES, 0)
        self._checksum = dict.fromkeys(STREAM_NAMES, 0)
        self._head = dict.fromkeys(STREAM_NAMES, b"")
        self._tail = {name: Tail(_KEPT) for name in STREAM_NAMES}

    def advance(self, name: StreamName, text: bytes) -> None:
        if self._length[name] < _HEAD:
            self._head[name] += text[: _HEAD - self._length[name]]
        self._length[name] += len(text)
        self._checksum[name] = zlib.crc32(text, self._checksum[name])
        self._tail[name].append(text)

    def remaining(self, again: Iterable[LogChunk]) -> Iterator[LogChunk]:
        """Yield what follows this position in a log that is read again from its start.

        Yields empty chunks for the part that is known. Raises `LogMismatch` if the log starts differently,
        because the engine keeps only the end of a long log. The position may advance in the meantime.
        """
        length, checksum = dict(self._length), dict(self._checksum)
        skipped, sums = dict.fromkeys(STREAM_NAMES, 0), dict.fromkeys(STREAM_NAMES, 0)
        for name, text in again:
            known = text[: length[name] - skipped[name]]
            skipped[name] += len(known)
            sums[name] = zlib.crc32(known, sums[name])
            if len(known) < len(text) and sums[name] != checksum[name]:
                raise LogMismatch
            yield name, text[len(known) :]
        if (skipped, sums) != (length, checksum):
            raise LogMismatch

    def ends_like(self, end: Iterable[LogChunk]) -> bool:
        """Return whether the last lines of another copy of the log are also the last lines of this one.

        Line ends do not count: Docker's copy lacks that of a line whose length is a multiple of 16 KiB.
        """
        found = dict.fromkeys(STREAM_NAMES, b"")
        for name, text in end:
            found[name] = (found[name] + text)[-_KEPT // 2 :]
        return all(
            _without_line_ends(self._tail[name].last(_KEPT)).endswith(_without_line_ends(text))
            for name, text in found.items()
        )

    def locate(self, other: Iterable[LogChunk]) -> Location:
        """Search the end of this log in another copy, whose beginning may be missing."""
        found = Location({name: _Search(self._tail[name].last(_PROBE)) for name in STREAM_NAMES})
        other_position = LogPosition()
        for name, text in other:
            other_position.advance(name, text)
            found.searches[name].feed(text)
        found.is_whole = all(
            other_position._head[name].startswith(self._head[name].partition(b"\n")[0])
            and other_position._length[name] >= self._length[name]
            for name in STREAM_NAMES
        )
        return found


def _without_line_ends(text: bytes) -> bytes:
    return text.replace(b"\n", b"")


class _Search:
    """The first occurrence of `wanted` in a stream. `end` is the position after it, None if there is none."""

    def __init__(self, wanted: bytes) -> None:
        self._wanted = wanted
        self._carried = b""
        self._read = 0
        self.end: int | None = None if wanted else 0

    def feed(self, text: bytes) -> None:
        if self.end is not None:
            return
        data = self._carried + text
        at = data.find(self._wanted)
        if at >= 0:
            self.end = self._read - len(self._carried) + at + len(self._wanted)
        self._read += len(text)
        self._carried = data[-(len(self._wanted) - 1) :] if len(self._wanted) > 1 else b""


class Location:
    """The position of a log in another copy.

    `is_whole` means that the copy contains the log from its start.
    """

    def __init__(self, searches: Mapping[StreamName, _Search]) -> None:
        self.searches = searches
        self.is_whole = False

    @property
    def is_found(self) -> bool:
        return all(search.end is not None for search in self.searches.values())

    def after(self, again: Iterable[LogChunk]) -> Iterator[LogChunk]:
        """Yield what follows the location, and the whole of a stream whose end was not found."""
        left = {name: search.end or 0 for name, search in self.searches.items()}
        for name, text in again:
            skipped = min(left[name], len(text))
            left[name] -= skipped
            yield name, text[skipped:]
