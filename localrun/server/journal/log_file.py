"""A log file of whole lines, written by multiple processes, rotated, and repaired after a crash.

Each write first checks that the open file is still at its path. If it was moved or deleted, it is opened
again. Writing and rotating require the lock of the folder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from localrun import fs

_LOCK = ".heartbeat.lock"
_MAX_FRAGMENT = 4 * 1024**2  # bytes to search for the start of a torn line


def lock_folder(folder: Path) -> AbstractContextManager[None]:
    """Keep all other threads and processes from writing to the logs of a folder.

    Do not use it in a signal handler: the handler may have interrupted the thread that holds the lock.
    """
    return fs.locked(os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_CREAT, 0o600))


class LogFile:
    """A file that is rotated to `.1` when it reaches `max_bytes`; `keep` rotated files are kept.

    `repair` receives the incomplete last line of a writer that died, and returns its replacement. All
    methods except `versions` require `lock_folder`.
    """

    _stream: int | None = None

    def __init__(self, path: Path, max_bytes: int, keep: int, repair: Callable[[bytes], bytes]) -> None:
        self.path = path
        self._text = str(path)
        self._max_bytes = max_bytes
        self._keep = keep
        self._repair = repair
        self._inode = (-1, -1)  # device and inode of the open file
        self._size = -1  # after the last line of this process; if unchanged, no line is incomplete

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. The next write opens it again."""
        stream, self._stream, self._size = self._stream, None, -1
        if stream is not None:
            os.close(stream)

    def append(self, line: bytes) -> None:
        """Append a line completely or not at all. Raises `OSError`."""
        stream, size = self.open()
        if size and size + len(line) > self._max_bytes:
            stream, size = self._rotate(stream, size)
        kept, repaired = (size, b"") if size == self._size else self._repaired_end(stream, size)
        self._size = -1
        if kept != size:
            os.ftruncate(stream, kept)
        _write(stream, kept, repaired + line)
        self._size = kept + len(repaired) + len(line)

    def versions(self) -> list[Path]:
        """Return the rotated files and the current one, the oldest first."""
        numbers = [self._rotated_path(number) for number in range(self._keep, 0, -1)]
        return [path for path in (*numbers, self.path) if path.exists()]

    def open(self) -> tuple[int, int]:
        """Return a descriptor of the file at the path, and its size. Creates the file if needed."""
        if self._stream is not None:
            try:
                status = os.stat(self._text)  # noqa: PTH116 - hot
                if (status.st_dev, status.st_ino) == self._inode:
                    return self._stream, status.st_size
            except FileNotFoundError:
                pass
            self.close()
        self._stream = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        status = os.fstat(self._stream)
        if status.st_mode & 0o077 and status.st_uid == os.geteuid():  # written by localrun 0.1.0
            os.fchmod(self._stream, 0o600)
        self._inode = (status.st_dev, status.st_ino)
        return self._stream, status.st_size

    def _rotated_path(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _rotate(self, stream: int, size: int) -> tuple[int, int]:
        """Return the new file and its size, or the old ones if renaming fails."""
        try:
            for number in range(self._keep, 1, -1):
                with suppress(FileNotFoundError):
                    self._rotated_path(number - 1).replace(self._rotated_path(number))
            self.path.replace(self._rotated_path(1))
        except OSError:
            return stream, size
        return self.open()

    def _repaired_end(self, stream: int, size: int) -> tuple[int, bytes]:
        """Return the size of the complete lines, and the replacement of an incomplete one after them."""
        if not size or os.pread(stream, 1, size - 1) == b"\n":
            return size, b""
        start = max(size - _MAX_FRAGMENT, 0)
        tail = os.pread(stream, size - start, start)
        fragment = tail[tail.rfind(b"\n") + 1 :]
        return size - len(fragment), self._repair(fragment)


def _write(stream: int, size: int, text: bytes) -> None:
    """Append `text` completely, or restore the file to `size` bytes."""
    done = 0
    try:
        done = os.write(stream, text)
    finally:
        if done != len(text):
            os.ftruncate(stream, size)
    if done != len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
