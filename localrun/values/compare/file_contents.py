"""Two files by their bytes: where they begin to differ, and how, when both are texts."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import BinaryIO

from localrun.units import format_bytes
from localrun.values.compare.first_difference import first_difference

_TEXT = 1024**2  # bytes of a text whose lines are compared
_LINES = 8  # lines shown of a difference
_WIDTH = 120  # characters shown of a line


@dataclass(frozen=True, slots=True)
class FileDiff:
    """Where two files begin to differ: the byte, from 0, and the line, from 1 (0: no texts)."""

    offset: int
    line: int
    sizes: tuple[int, int]
    details: tuple[str, ...]

    @property
    def summary(self) -> str:
        """In words."""
        place = f"line {self.line}" if self.line else f"byte {self.offset}"
        return f"differs from {place} on ({' and '.join(map(format_bytes, self.sizes))})"


def diff_contents(first: BinaryIO, second: BinaryIO) -> FileDiff | None:
    """Compare two files from their start; None when they are the same."""
    found = first_difference((first, second))
    if found is None:
        return None
    offset, line, _ = found
    sizes = (first.seek(0, 2), second.seek(0, 2))
    texts = [_text(stream, size) for stream, size in zip((first, second), sizes, strict=True)]
    if texts[0] is None or texts[1] is None:
        return FileDiff(offset, 0, sizes, ())
    return FileDiff(offset, line, sizes, tuple(_shown(texts[0].splitlines(), texts[1].splitlines())))


def _start(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read(_TEXT)


def _text(stream: BinaryIO, size: int) -> str | None:
    if size > _TEXT:
        return None
    data = _start(stream)
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _shown(first: list[str], second: list[str]) -> list[str]:
    """The lines that differ, `-` of the first and `+` of the second, as many as can be taken in."""
    compared = difflib.unified_diff(first, second, lineterm="", n=0)
    lines = [line[:_WIDTH] for line in compared if not line.startswith(("---", "+++"))]
    more = len(lines) - _LINES
    return lines if more <= 0 else [*lines[:_LINES], f"... and {more} lines more"]
