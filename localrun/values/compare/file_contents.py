"""Compare two files by bytes, and show different lines if both are texts."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import BinaryIO

from localrun.units import format_bytes
from localrun.values.compare.first_difference import first_difference

_TEXT = 1024**2  # maximum bytes of a text whose lines are compared
_LINES = 8  # lines of a difference that are shown
_WIDTH = 120  # characters of a line that are shown


@dataclass(frozen=True, slots=True)
class FileDiff:
    """The first difference of two files: its offset and its line, from 1 (0: not texts)."""

    offset: int
    line: int
    sizes: tuple[int, int]
    details: tuple[str, ...]

    @property
    def summary(self) -> str:
        place = f"line {self.line}" if self.line else f"byte {self.offset}"
        return f"differs from {place} ({' and '.join(map(format_bytes, self.sizes))})"


def diff_contents(first: BinaryIO, second: BinaryIO) -> FileDiff | None:
    """Compare two open files, which are at their start; None if they are equal."""
    found = first_difference((first, second))
    if found is None:
        return None
    offset, line, _ = found
    sizes = (first.seek(0, 2), second.seek(0, 2))
    texts = [_text(stream, size) for stream, size in zip((first, second), sizes, strict=True)]
    if texts[0] is None or texts[1] is None:
        return FileDiff(offset, 0, sizes, ())
    return FileDiff(offset, line, sizes, tuple(_diff_lines(texts[0].splitlines(), texts[1].splitlines())))


def _text(stream: BinaryIO, size: int) -> str | None:
    if size > _TEXT:
        return None
    stream.seek(0)
    data = stream.read(_TEXT)
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _diff_lines(first: list[str], second: list[str]) -> list[str]:
    """Return the first different lines, with `-` for the first file and `+` for the second."""
    compared = difflib.unified_diff(first, second, lineterm="", n=0)
    lines = [line[:_WIDTH] for line in compared if not line.startswith(("---", "+++"))]
    more = len(lines) - _LINES
    return lines if more <= 0 else [*lines[:_LINES], f"... and {more} more lines"]
