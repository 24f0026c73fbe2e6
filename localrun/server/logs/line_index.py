"""The lines of a growing file: their numbers and offsets, without keeping them in memory."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

STEP = 1024**2  # bytes between two marks
_MAX_INDEXES = 16

FileKey = tuple[int, int]  # device and inode


class LineIndex:
    """Counts the lines of a file up to marks, one for each MiB, from where lines are found quickly.

    The file only grows. All positions are bytes from its start, and line numbers count from 1.
    """

    def __init__(self) -> None:
        self._offsets = [0]
        self._breaks = [0]  # line breaks before each offset
        self._size = 0
        self._total = 0
        self._ends_line = True

    def update(self, stream: BinaryIO, size: int) -> None:
        """Count the lines that were appended, up to `size`."""
        stream.seek(self._size)
        while self._size < size:
            data = stream.read(min(STEP - self._size % STEP, size - self._size))
            if not data:
                return
            self._size += len(data)
            self._total += data.count(b"\n")
            self._ends_line = data.endswith(b"\n")
            if self._size % STEP == 0:
                self._offsets.append(self._size)
                self._breaks.append(self._total)

    @property
    def size(self) -> int:
        return self._size

    @property
    def lines(self) -> int:
        """The number of lines; the last one may lack its line break."""
        return self._total + (not self._ends_line)

    def offset_of(self, stream: BinaryIO, line: int) -> int:
        """Return the offset of a line; that of the end if there are not so many lines."""
        if line <= 1:
            return 0
        if line - 1 > self._total:
            return self._size
        mark = bisect_right(self._breaks, line - 2) - 1
        missing, offset = line - 1 - self._breaks[mark], self._offsets[mark]
        stream.seek(offset)
        data, position = stream.read(min(STEP, self._size - offset)), -1
        for _ in range(missing):
            position = data.index(b"\n", position + 1)
        return offset + position + 1

    def line_at(self, stream: BinaryIO, offset: int) -> int:
        """Return the number of the line that contains the byte at an offset."""
        mark = bisect_right(self._offsets, min(offset, self._size)) - 1
        stream.seek(self._offsets[mark])
        return self._breaks[mark] + stream.read(offset - self._offsets[mark]).count(b"\n") + 1

    def start_of_line(self, stream: BinaryIO, offset: int) -> int:
        """Return the offset of the line that contains the byte at an offset.

        The start of a line of more than a MiB is not looked for: it is `offset` itself.
        """
        first = max(0, offset - STEP)
        stream.seek(first)
        found = stream.read(offset - first).rfind(b"\n")
        return first + found + 1 if found >= 0 or first == 0 else offset


class LineIndexes:
    """The indexes of the files that were used last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._indexes: OrderedDict[FileKey, tuple[LineIndex, threading.Lock]] = OrderedDict()

    @contextmanager
    def using(self, key: FileKey, size: int) -> Iterator[LineIndex]:
        """Return the index of a file for the duration of the block. One that has shrunk is indexed again."""
        with self._lock:
            found = self._indexes.pop(key, None)
            if found is None or found[0].size > size:
                found = (LineIndex(), threading.Lock())
            self._indexes[key] = found
            if len(self._indexes) > _MAX_INDEXES:
                self._indexes.popitem(last=False)
        index, lock = found
        with lock:
            yield index
