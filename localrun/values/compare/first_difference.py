"""Find the first difference between files."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import BinaryIO

_CHUNK = 256 * 1024


def first_difference(files: Sequence[BinaryIO]) -> tuple[int, int, int] | None:
    """Return the offset of the first different byte, its line (from 1), and the offset of that line.

    If a file ends where others continue, this is a difference. None if all files are equal. Holes are not
    read.
    """
    offset, line, start = 0, 1, 0
    while True:
        data = min(_next_data(file, offset) for file in files)
        if data > offset:
            offset = data
            for file in files:
                file.seek(offset)
        chunks = [file.read(_CHUNK) for file in files]
        common = _common(chunks)
        head = chunks[0][:common]
        line += head.count(b"\n")
        if b"\n" in head:
            start = offset + head.rindex(b"\n") + 1
        if common < max(map(len, chunks)):
            return offset + common, line, start
        if not common:
            return None
        offset += common


def _next_data(file: BinaryIO, offset: int) -> int:
    """Return the offset of the next byte that is not in a hole, at most the size of the file."""
    try:
        descriptor = file.fileno()
        position = os.lseek(descriptor, 0, os.SEEK_CUR)  # the buffer of the file relies on it
        size = os.fstat(descriptor).st_size
    except OSError:  # not a file
        return offset
    try:
        return min(os.lseek(descriptor, offset, os.SEEK_DATA), size)
    except OSError as error:
        return max(offset, size) if error.errno == errno.ENXIO else offset
    finally:
        os.lseek(descriptor, position, os.SEEK_SET)


def _common(chunks: Sequence[bytes]) -> int:
    """Return the length of the common prefix."""
    low, high = 0, min(map(len, chunks))
    if all(chunk[:high] == chunks[0][:high] for chunk in chunks):
        return high
    while high - low > 1:  # binary search
        middle = (low + high) // 2
        equal = all(chunk[low:middle] == chunks[0][low:middle] for chunk in chunks)
        low, high = (middle, high) if equal else (low, middle)
    return low
