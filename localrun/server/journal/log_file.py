"""One log file: whole lines only, whoever writes beside us, moves it away, or died in the middle of one.

Before every line is looked whether the file is still where it was: one that was moved or deleted is opened
anew. Lines, and the renaming of full files, happen under one lock per folder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from localrun import fs

_LOCK = ".heartbeat.lock"
_FRAGMENT = 4 * 1024**2  # bytes that are looked through for the start of a torn line


def lock_folder(folder: Path) -> AbstractContextManager[None]:
    """Keep all other threads and processes from writing to the logs of a folder.

    Do not use it in a signal handler: the handler may have interrupted the thread that holds the lock.
    """
    return fs.locked(os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_CREAT, 0o644))


class LogFile:
    """A file that only grows, until it has `max_bytes` and is kept as `.1`, at most `keep` of them.

    `mend` is given what a writer that died left of its last line, and returns what to put in its place.
    All methods but `versions` are called under `locked`.
    """

    _stream: int | None = None

    def __init__(self, path: Path, max_bytes: int, keep: int, repair: Callable[[bytes], bytes]) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._mend = repair
        self._place = (-1, -1)  # device and inode of what is open
        self._whole = -1  # its size after our last line: as long as it has that, nobody has torn one

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the next line opens it anew."""
        stream, self._stream, self._whole = self._stream, None, -1
        if stream is not None:
            os.close(stream)

    def touch(self) -> None:
        """Make sure that it is there and can be written."""
        self._opened()

    def append(self, line: bytes) -> None:
        """Add a line, whole or not at all. Raises `OSError`."""
        stream, size = self._opened()
        if size and size + len(line) > self._max_bytes:
            stream, size = self._rotated(stream, size)
        kept, mended = (size, b"") if size == self._whole else self._end(stream, size)
        self._whole = -1
        if kept != size:
            os.ftruncate(stream, kept)
        _write(stream, kept, mended + line)
        self._whole = kept + len(mended) + len(line)

    def versions(self) -> list[Path]:
        """The kept ones and the present one, the oldest first."""
        numbers = [self._old(number) for number in range(self._keep, 0, -1)]
        return [path for path in (*numbers, self.path) if path.exists()]

    def _opened(self) -> tuple[int, int]:
        """The file that is at its place now, and its size."""
        if self._stream is not None:
            with suppress(FileNotFoundError):
                status = os.stat(self.path)  # noqa: PTH116 - hot
                if (status.st_dev, status.st_ino) == self._place:
                    return self._stream, status.st_size
            self.close()
        self._stream = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        status = os.fstat(self._stream)
        self._place = (status.st_dev, status.st_ino)
        return self._stream, status.st_size

    def _old(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _rotated(self, stream: int, size: int) -> tuple[int, int]:
        """The new file, or the old one where renaming is not possible: too long is better than lost."""
        try:
            for number in range(self._keep, 1, -1):
                with suppress(FileNotFoundError):
                    self._old(number - 1).replace(self._old(number))
            self.path.replace(self._old(1))
        except OSError:
            return stream, size
        return self._opened()

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
