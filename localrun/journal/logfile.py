"""One log file: whole lines only, whoever writes beside us, moves it away, or died in the middle of one.

The file is opened for every line. That costs some microseconds and makes "reopened when it was moved or
deleted" true without looking. Lines, and the renaming of full files, happen under one lock per folder.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = ".heartbeat.lock"
_FRAGMENT = 4 * 1024**2  # bytes that are looked through for the start of a torn line


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other thread and process from writing to the logs of a folder.

    Not for a signal handler: it might interrupt the very thread that holds the lock.
    """
    lock = os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of its own for each call: holds between threads too
        yield
    finally:
        os.close(lock)


class LogFile:
    """A file that only grows, until it has `max_bytes` and is kept as `.1`, at most `keep` of them.

    `mend` is given what a writer that died left of its last line, and returns what to put in its place.
    All methods but `versions` are called under `locked`.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int, mend: Callable[[bytes], bytes]) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._mend = mend

    def touch(self) -> None:
        """Make sure that it is there and can be written."""
        os.close(self._open())

    def append(self, line: bytes) -> None:
        """Add a line, whole or not at all. Raises `OSError`."""
        stream = self._open()
        try:
            size = os.fstat(stream).st_size
            if size and size + len(line) > self._max_bytes:
                stream, size = self._rotated(stream, size)
            kept, mended = self._end(stream, size)
            if kept != size:
                os.ftruncate(stream, kept)
            _write(stream, kept, mended + line)
        finally:
            os.close(stream)

    def versions(self) -> list[Path]:
        """The kept ones and the present one, the oldest first."""
        numbers = [self._old(number) for number in range(self._keep, 0, -1)]
        return [path for path in (*numbers, self.path) if path.exists()]

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)

    def _old(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _rotated(self, stream: int, size: int) -> tuple[int, int]:
        """The new file, or the old one where renaming is not possible: too long is better than lost."""
        try:
            for number in range(self._keep, 1, -1):
                with suppress(FileNotFoundError):
                    self._old(number - 1).replace(self._old(number))
            self.path.replace(self._old(1))
            fresh = self._open()
        except OSError:
            return stream, size
        os.close(stream)
        return fresh, os.fstat(fresh).st_size

    def _end(self, stream: int, size: int) -> tuple[int, bytes]:
        """How many bytes are whole lines, and what to put in place of a torn one after them."""
        if not size or os.pread(stream, 1, size - 1) == b"\n":
            return size, b""
        start = max(size - _FRAGMENT, 0)
        tail = os.pread(stream, size - start, start)
        fragment = tail[tail.rfind(b"\n") + 1 :]
        return size - len(fragment), self._mend(fragment)


def _write(stream: int, size: int, text: bytes) -> None:
    """Write all of `text` after the first `size` bytes, or leave just these."""
    done = 0
    try:
        done = os.write(stream, text)
    finally:
        if done != len(text):
            os.ftruncate(stream, size)
    if done != len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
