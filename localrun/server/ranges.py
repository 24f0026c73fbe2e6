"""A part of a file, as the header Range asks for it (RFC 9110, 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"(\d{0,18})-(\d{0,18})")


class RangeNotSatisfiable(Exception):
    """The file has no such part."""


class MalformedRange(Exception):
    """The header is not written as it must be."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """So many bytes from `start`, of a file of `whole` bytes."""

    start: int
    size: int
    total: int

    @property
    def content_range(self) -> str:
        """The value of the header Content-Range."""
        return f"bytes {self.start}-{self.start + self.size - 1}/{self.total}"


def parse_range(header: str | None, total: int) -> ByteRange | None:
    """The part that is asked for; None: all of the file.

    Several parts at once are answered with all of it, as is a unit other than bytes; both are allowed.
    Raises `RangeNotSatisfiable` and `UnreadableLayer`.
    """
    unit, _, text = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or "," in text:
        return None
    found = _ONE.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise MalformedRange
    first, last = found.groups()
    if not first:  # so many of the last bytes
        start, end = max(0, total - int(last)), total - 1
    else:
        start, end = int(first), min(int(last), total - 1) if last else total - 1
        if last and int(last) < start:
            raise MalformedRange
    if start > end:
        raise RangeNotSatisfiable
    return ByteRange(start, end - start + 1, total)
