"""Files that are written whole, or not at all."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from localrun import fs


def write(path: str, data: bytes, made: float | None = None) -> None:
    """Replace a file: a reader sees the old one or the new one. `made` is its time (seconds since 1970).

    Raises `LocalrunError`, with cause DISK_FULL when there is no room.
    """
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(beside, "wb", buffering=0) as stream:  # noqa: PTH123
            _write(stream, data)
            if made is not None:
                os.utime(stream.fileno(), (made, made))
        os.replace(beside, path)  # noqa: PTH105
    except BaseException as error:
        Path(beside).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise fs.unwritable(Path(path).parent, error) from error
        raise


def write_first(path: str, data: bytes) -> None:
    """Make a file that nobody can rely on yet: what is of no use as a whole need not be replaced as a whole.

    Raises as `write`, and leaves nothing then.
    """
    try:
        with open(path, "wb", buffering=0) as stream:  # noqa: PTH123
            _write(stream, data)
    except BaseException as error:
        Path(path).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise fs.unwritable(Path(path).parent, error) from error
        raise


def _write(stream: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[stream.write(left) :]


def append(path: str, data: bytes) -> None:
    """Add to a file in one call, so that the lines of several processes stay whole. Raises `OSError`."""
    stream = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(stream, data)
    finally:
        os.close(stream)
