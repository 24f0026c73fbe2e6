"""Incremental reading of files that another process writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from localrun import fs

_CHUNK = 64 * 1024


class FileFollower:
    """Reads a file from where it was last read.

    A process that resumes a task rewrites the file with the same beginning, so the position stays valid.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self.is_truncated = False

    def read_new(self) -> Iterator[bytes]:
        """Yield the data that was added since the last read, in chunks."""
        try:
            stream = fs.open_regular(self._path)
        except FileNotFoundError:
            return
        with stream:
            stream.seek(self._position)
            while data := stream.read(_CHUNK):
                self._position += len(data)
                yield data

    def read_tail(self, size: int) -> bytes:
        """Return the lines in the last `size` bytes. Sets `is_truncated` if the file holds more."""
        with fs.open_regular(self._path) as stream:
            end = stream.seek(0, 2)
            self.is_truncated = end > size
            stream.seek(max(0, end - size))
            data = stream.read(size)
            self._position = stream.tell()
        return data.partition(b"\n")[2] if self.is_truncated else data
