"""The Range header (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.exceptions import HTTPException

_ONE = re.compile(r"(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`size` bytes from `start`, of a file of `total` bytes."""

    start: int
    size: int
    total: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.size - 1}/{self.total}"


def parse_range(header: str | None, total: int) -> ByteRange | None:
    """Return the requested range, or None for the whole file.

    Also None for multiple ranges and for units other than bytes, which the RFC allows.
    Raises `HTTPException` 400 for an invalid header, and 416 for a range after the end of the file.
    """
    unit, _, text = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or "," in text:
        return None
    found = _ONE.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise _malformed()
    first, last = found.groups()
    if not first:  # the last bytes
        start, end = max(0, total - int(last)), total - 1
    else:
        start, end = int(first), min(int(last), total - 1) if last else total - 1
        if last and int(last) < start:
            raise _malformed()
    if start > end:
        raise HTTPException(416, f"The file has {total} bytes", {"Content-Range": f"bytes */{total}"})
    return ByteRange(start, end - start + 1, total)


def _malformed() -> HTTPException:
    return HTTPException(400, "Invalid Range header; expected `bytes=FIRST-LAST`, counted from 0")
