"""What every type of parameter does with one value, and how it tells what is wrong with it."""

from __future__ import annotations

import reprlib
from typing import Any, ClassVar

import msgspec

from localrun.descriptor.divergences import divergence
from localrun.errors import Problem

_SHOWN = 60
_BLANKS = "".join(map(chr, range(33)))  # what App Engine trims: every character up to the space


class Notes:
    """Collects, at one path, what is wrong with a value and what may be wrong with it elsewhere."""

    __slots__ = ("path", "problems", "warnings")

    def __init__(
        self, path: str, problems: list[Problem] | None = None, warnings: list[str] | None = None
    ) -> None:
        self.path = path
        self.problems = [] if problems is None else problems
        self.warnings = [] if warnings is None else warnings

    def child(self, part: object) -> Notes:
        """The same lists, one level deeper."""
        return Notes(f"{self.path}.{part}" if self.path else str(part), self.problems, self.warnings)

    def error(self, message: str, remedy: str = "") -> None:
        """Say what is wrong."""
        self.problems.append(Problem(self.path, message, remedy))

    def warn(self, message: str) -> None:
        """Say what works here and may not elsewhere."""
        self.warnings.append(f"{self.path}: {message}")

    def warn_divergence(self, row: str) -> None:
        """Warn of a row of the table of divergences."""
        self.warnings.append(divergence(row).format_warning(self.path))


def trim(text: str) -> str:
    """Take away what App Engine takes away from both ends of an output."""
    return text.strip(_BLANKS)


def format_value(value: Any) -> str:
    """A value as it may stand in a message: short, on one line, whatever it is."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}... ({len(value)} characters)"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    return reprlib.repr(value)


def describe_type(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return "text"
    for python, name in ((bool, "a boolean"), (int, "an integer"), (float, "a number")):
        if isinstance(value, python):
            return name
    if isinstance(value, (list, tuple)):
        return "a list"
    return "an object" if isinstance(value, dict) else f"of the Python type {type(value).__name__}"


def type_mismatch(value: Any, wanted: str) -> str:
    """`'abc' is text, not an integer`."""
    said = format_value(value)
    what = describe_type(value)
    return f"{said} is not {wanted}" if said == what else f"{said} is {what}, not {wanted}"


class DataType(msgspec.Struct, frozen=True):
    """One type with its constraints.

    `accept` takes a value as JSON or Python has it, `parse` one from text (a command line, an output file);
    both give it back in the form that `text` writes and `ready` shows, and tell `notes` what is wrong. A type
    that adds no constraint needs no decorator of its own: each costs time at every start.
    """

    id: ClassVar[str]
    text_limit: ClassVar[int] = 64 * 1024  # bytes that the text of one value may have

    def validate(self, value: Any, notes: Notes) -> Any:
        """Check a value of JSON or Python."""
        raise NotImplementedError

    def parse(self, text: str, notes: Notes) -> Any:
        """Check a value that is written as text."""
        raise NotImplementedError

    def to_text(self, value: Any) -> str:
        """What stands in the file of an accepted value."""
        return str(value)

    def to_json(self, value: Any) -> Any:
        """An accepted value as JSON can hold it."""
        return value


def check_encodable(text: str, notes: Notes) -> bool:
    """Whether UTF-8 can write the text; half a surrogate pair it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        notes.error(f"{format_value(text)} holds half a surrogate pair", "write a whole character")
        return False
    return True
