"""The scalar types boolean, string and enumeration."""

from __future__ import annotations

from typing import Any, ClassVar

from localrun.descriptor.types.base import DataType, Notes, check_encodable, format_value, type_mismatch
from localrun.suggestions import did_you_mean
from localrun.units import format_count


class Boolean(DataType, frozen=True):
    """`true` or `false`."""

    id: ClassVar[str] = "boolean"

    def validate(self, value: Any, notes: Notes) -> bool | None:
        if isinstance(value, bool):
            return value
        notes.error(type_mismatch(value, "a boolean"), "use true or false, without quotes")
        return None

    def parse(self, text: str, notes: Notes) -> bool | None:
        """Check for `true` or `false` in any letter case."""
        word = text.lower()
        if word in ("true", "false"):
            return word == "true"
        message = f"invalid boolean {format_value(text)} (App Engine would read it as false)"
        notes.error(message, "use true or false")
        return None

    def to_text(self, value: Any) -> str:
        return "true" if value else "false"


class String(DataType, frozen=True):
    """A string. Its length is counted in UTF-16 units, as in App Engine: an emoji counts twice."""

    id: ClassVar[str] = "string"
    text_limit: ClassVar[int] = 16 * 1024**2
    min_length: int = 0
    max_length: int | None = None

    def validate(self, value: Any, notes: Notes) -> str | None:
        if not isinstance(value, str):
            notes.error(type_mismatch(value, "a string"), "put it in quotes")
            return None
        return self.parse(value, notes)

    def parse(self, text: str, notes: Notes) -> str | None:
        if not check_encodable(text, notes):
            return None
        length = len(text.encode("utf-16-le")) // 2
        shown = f"{format_value(text)} has {format_count(length, 'character')}"
        if length < self.min_length:
            notes.error(f"{shown}, expected at least {self.min_length}", "use a longer string")
        if self.max_length is not None and length > self.max_length:
            notes.error(f"{shown}, expected at most {self.max_length}", "use a shorter string")
        return text


class Enumeration(DataType, frozen=True):
    """One of a fixed list of strings."""

    id: ClassVar[str] = "enumeration"
    values: tuple[str, ...] = ()

    def validate(self, value: Any, notes: Notes) -> str | None:
        if not isinstance(value, str):
            remedy = "put it in quotes"
            if isinstance(value, bool):
                remedy += ": YAML reads yes, no, on and off as booleans"
            notes.error(type_mismatch(value, "a string"), remedy)
            return None
        return self.parse(value, notes)

    def parse(self, text: str, notes: Notes) -> str | None:
        if text in self.values:
            return text
        allowed = ", ".join(self.values[:20]) + (", ..." if len(self.values) > 20 else "")
        message = f"invalid value {format_value(text)}, expected one of: {allowed}"
        notes.error(message, did_you_mean(text, self.values) or "use one of them")
        return None
