"""Files that another process writes: read on, each time from where it was left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_CHUNK = 64 * 1024


class FileFollower:
    """A file, from where it was read last. It may be made anew with the same beginning, by who carries on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self.is_truncated = False

    def read_new(self) -> Iterator[bytes]:
        """What was added, in pieces."""
        try:
            stream = self._path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            stream.seek(self._position)
            while data := stream.read(_CHUNK):
                self._position += len(data)
                yield data

    def read_tail(self, size: int) -> bytes:
        """The last bytes; `left_out` says whether there are others before them."""
        with self._path.open("rb") as stream:
            end = stream.seek(0, 2)
            self.is_truncated = end > size
            stream.seek(max(0, end - size))
            data = stream.read(size)
            self._position = stream.tell()
        return data.partition(b"\n")[2] if self.is_truncated else data
