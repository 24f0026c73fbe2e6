"""Safe display of untrusted text: whole lines without terminal control sequences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from localrun import undecodable

_COLOURS = r"\x1b\[[0-9;:]*m"  # harmless, but noise outside the task's own terminal
# C0 and C1 controls, which start every terminal command, and bidirectional text controls
_CONTROLS = [*range(9), *range(10, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _CONTROLS}
_ESCAPES |= {code: undecodable.escape(chr(code)) for code in range(0xDC80, 0xDD00)}
_MAX_LENGTH = 16 * 1024  # characters of an incomplete line that are buffered


def escape_control_chars(text: str) -> str:
    """Return a line with control characters escaped: ESC becomes the four characters `\\x1b`."""
    if text.isprintable():  # no control character has this property
        return text
    return re.sub(_COLOURS, "", text).translate(_ESCAPES)


def escape_lines(text: str) -> str:
    """Return a multi-line text with the control characters of each line escaped."""
    if text.replace("\n", "").isprintable():
        return text
    return "\n".join(escape_control_chars(line) for line in text.split("\n"))


def format_columns(rows: Sequence[tuple[str, ...]], left: int | None = None) -> Iterator[str]:
    """Yield the lines of a table. Columns from index `left` on are right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = list(zip(row, widths, strict=True))
        words = [cell.ljust(width) for cell, width in cells[:left]]
        numbers = [] if left is None else [cell.rjust(width) for cell, width in cells[left:]]
        yield "  ".join((*words, *numbers)).rstrip()


class LineBuffer:
    """Joins the chunks of a stream into whole lines.

    A carriage return restarts the line, as on a terminal: only the last state of a progress bar is shown.
    """

    def __init__(self) -> None:
        self._rest = ""

    @property
    def growing(self) -> str:
        """The line that has no end yet, in its current state."""
        return _last_state(self._rest)

    def feed(self, chunk: str) -> list[str]:
        """Return the lines that `chunk` completes."""
        *lines, self._rest = (self._rest + chunk).split("\n")
        if "\r" in chunk or (lines and "\r" in lines[0]):
            lines = [_last_state(line) for line in lines]
        if len(self._rest) > _MAX_LENGTH:
            self._rest = self._rest.rpartition("\r")[2]
            if len(self._rest) > _MAX_LENGTH:
                lines += self.flush()
        return lines

    def flush(self) -> list[str]:
        """Return the remaining text that has no line end."""
        rest, self._rest = self._rest, ""
        return [_last_state(rest)] if rest else []


class TerminalText:
    """Converts a growing text for a terminal, part by part.

    Control characters are escaped. A carriage return is kept, so progress bars are drawn in place.
    """

    def __init__(self) -> None:
        self._held = ""  # a carriage return that may be the first half of a line end

    def feed(self, part: str) -> str:
        text = (self._held + part).replace("\r\n", "\n")
        self._held = "\r" if text.endswith("\r") else ""
        return "\r".join(map(escape_lines, text[: len(text) - len(self._held)].split("\r")))


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]
