"""The base class of parameter types, and helpers for their messages."""

from __future__ import annotations

import re
import reprlib
from typing import Any, ClassVar

import msgspec

from localrun.descriptor.divergences import divergence
from localrun.errors import Problem

_MAX_SHOWN = 60  # characters of a string in a message
_BLANKS = "".join(map(chr, range(33)))  # App Engine trims every character up to the space
_TYPE_NAMES: dict[type, str] = {  # bool before int, of which it is a subclass
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "list",
    tuple: "list",
    dict: "object",
}
_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*(?=@)|(?<=\?)\S+")  # of a URL, with its query
_AFTER_SCHEME = re.compile(r"(?<=://)[^\s'\"]+")


class Notes:
    """Collects the problems and warnings of the value at a path."""

    __slots__ = ("path", "problems", "warnings")

    def __init__(
        self, path: str, problems: list[Problem] | None = None, warnings: list[str] | None = None
    ) -> None:
        self.path = path
        self.problems = [] if problems is None else problems
        self.warnings = [] if warnings is None else warnings

    def child(self, part: object) -> Notes:
        return Notes(f"{self.path}.{part}" if self.path else str(part), self.problems, self.warnings)

    def error(self, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(self.path, message, remedy))

    def warn(self, message: str) -> None:
        """Report something that works here but maybe not on App Engine."""
        self.warnings.append(f"{self.path}: {message}")

    def warn_divergence(self, row: str) -> None:
        """Warn of a row of the table of divergences."""
        self.warnings.append(divergence(row).format_warning(self.path))


def trim(text: str) -> str:
    """Strip the characters that App Engine strips from both ends of an output."""
    return text.strip(_BLANKS)


def format_value(value: Any) -> str:
    """Return any value in a short form on one line, for messages; without credentials of URLs."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        value = _CREDENTIALS.sub("***", value) if "://" in value else value
        is_short = len(value) <= _MAX_SHOWN
        return repr(value) if is_short else f"{value[:_MAX_SHOWN]!r}... ({len(value)} characters)"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"<{value.bit_length()}-bit integer>"
    return _AFTER_SCHEME.sub("***", reprlib.repr(value))


def type_mismatch(value: Any, expected: str) -> str:
    """Return a message such as `expected an integer, got 'abc' (string)`."""
    if value is None:
        return f"expected {expected}, got null"
    names = (name for python, name in _TYPE_NAMES.items() if isinstance(value, python))
    name = next(names, f"Python type {type(value).__name__}")
    return f"expected {expected}, got {format_value(value)} ({name})"


class DataType(msgspec.Struct, frozen=True):
    """A parameter type with its constraints.

    `validate` checks a JSON or Python value, and `parse` a string from a command line or an output file. Both
    report problems to `notes` and return the value in the form that `to_text` and `to_json` expect.
    """

    id: ClassVar[str]
    text_limit: ClassVar[int] = 64 * 1024  # maximum bytes of one value as text

    def validate(self, value: Any, notes: Notes) -> Any:
        """Check a JSON or Python value; return None if it is invalid."""
        raise NotImplementedError

    def parse(self, text: str, notes: Notes) -> Any:
        """Check a value in text form; return None if it is invalid."""
        raise NotImplementedError

    def to_text(self, value: Any) -> str:
        """Return the file content of a valid value."""
        return str(value)

    def to_json(self, value: Any) -> Any:
        """Return a valid value as a JSON value."""
        return value


def check_encodable(text: str, notes: Notes) -> bool:
    """Return whether UTF-8 can encode the text; report a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        notes.error(f"lone surrogate in {format_value(text)}", "use valid Unicode text")
        return False
    return True
