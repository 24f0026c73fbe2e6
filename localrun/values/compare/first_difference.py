"""Where files begin to differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

_CHUNK = 256 * 1024


def first_difference(files: Sequence[BinaryIO]) -> tuple[int, int, int] | None:
    """The first byte (from 0) at which not all files are the same, its line (from 1), and where that begins.

    The end of a file counts as a difference where others go on. None when they are all the same.
    """
    place, line, start = 0, 1, 0
    while True:
        chunks = [file.read(_CHUNK) for file in files]
        common = _common(chunks)
        head = chunks[0][:common]
        line += head.count(b"\n")
        if b"\n" in head:
            start = place + head.rindex(b"\n") + 1
        if common < max(map(len, chunks)):
            return place + common, line, start
        if not common:
            return None
        place += common


def _common(chunks: Sequence[bytes]) -> int:
    """How many bytes all of them begin with."""
    low, high = 0, min(map(len, chunks))
    if all(chunk[:high] == chunks[0][:high] for chunk in chunks):
        return high
    while high - low > 1:  # a part that begins alike is halved until one byte is left
        middle = (low + high) // 2
        alike = all(chunk[low:middle] == chunks[0][low:middle] for chunk in chunks)
        low, high = (middle, high) if alike else (low, middle)
    return low
