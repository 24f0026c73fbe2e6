"""A part of a file, as the header Range asks for it (RFC 9110, 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"(\d{0,18})-(\d{0,18})")


class NoSuchPart(Exception):
    """The file has no such part."""


class Unreadable(Exception):
    """The header is not written as it must be."""


@dataclass(frozen=True, slots=True)
class Part:
    """So many bytes from `start`, of a file of `whole` bytes."""

    start: int
    size: int
    whole: int

    @property
    def told(self) -> str:
        """The value of the header Content-Range."""
        return f"bytes {self.start}-{self.start + self.size - 1}/{self.whole}"


def wanted(header: str | None, whole: int) -> Part | None:
    """The part that is asked for; None: all of the file.

    Several parts at once are answered with all of it, as is a unit other than bytes; both are allowed.
    Raises `NoSuchPart` and `UnreadableLayer`.
    """
    unit, _, text = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or "," in text:
        return None
    found = _ONE.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise Unreadable
    first, last = found.groups()
    if not first:  # so many of the last bytes
        start, end = max(0, whole - int(last)), whole - 1
    else:
        start, end = int(first), min(int(last), whole - 1) if last else whole - 1
        if last and int(last) < start:
            raise Unreadable
    if start > end:
        raise NoSuchPart
    return Part(start, end - start + 1, whole)
