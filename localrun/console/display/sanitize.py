"""What a task writes, made fit to be shown: whole lines, which cannot steer the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")  # harmless, and only noise once its terminal is not the task's
# C0 and C1 controls (all terminals' commands begin with one), and marks that turn the direction of writing
_STEERING = [*range(9), *range(10, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SHOWN = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _STEERING}
_LONGEST = 16 * 1024  # characters of one line that are held back until the line ends


def escape_control_chars(text: str) -> str:
    """One line of text without anything that a terminal obeys: `\\x1b]0;title` is shown as it is written."""
    return _COLOURS.sub("", text).translate(_SHOWN)


def escape_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(escape_control_chars(line) for line in text.split("\n"))


def format_columns(rows: Sequence[tuple[str, ...]], left: int | None = None) -> Iterator[str]:
    """The lines of a table; the cells of a row from `left` on end at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = list(zip(row, widths, strict=True))
        words = [cell.ljust(width) for cell, width in cells[:left]]
        numbers = [] if left is None else [cell.rjust(width) for cell, width in cells[left:]]
        yield "  ".join((*words, *numbers)).rstrip()


class LineBuffer:
    """Puts the pieces of one stream together to whole lines.

    A carriage return begins its line anew, as on a terminal: of a progress bar its last state is shown.
    """

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, piece: str) -> Iterator[str]:
        """The lines that `piece` completes."""
        *lines, self._rest = (self._rest + piece).split("\n")
        yield from (_last_state(line) for line in lines)
        if len(self._rest) > _LONGEST:
            self._rest = self._rest.rpartition("\r")[2]
            if len(self._rest) > _LONGEST:
                yield from self.flush()

    def flush(self) -> Iterator[str]:
        """What is left without a line end."""
        if self._rest:
            yield _last_state(self._rest)
        self._rest = ""


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]
