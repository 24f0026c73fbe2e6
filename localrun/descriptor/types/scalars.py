"""The types whose value is one word or one text: boolean, string, enumeration."""

from __future__ import annotations

from typing import Any, ClassVar

from localrun.descriptor.types.base import (
    DataType,
    Notes,
    check_encodable,
    describe_type,
    format_value,
    type_mismatch,
)
from localrun.suggestions import did_you_mean


class Boolean(DataType, frozen=True):
    """`true` or `false`."""

    id: ClassVar[str] = "boolean"

    def validate(self, value: Any, notes: Notes) -> bool | None:
        """Take true and false only."""
        if isinstance(value, bool):
            return value
        notes.error(type_mismatch(value, "a boolean"), "give true or false, without quotes")
        return None

    def parse(self, text: str, notes: Notes) -> bool | None:
        """Take both words in any letter case.

        App Engine: everything but "true" is read as false, in silence; here it is refused.
        """
        word = text.lower()
        if word in ("true", "false"):
            return word == "true"
        notes.error(
            f"found {format_value(text)}, not a boolean (App Engine would read it as false)",
            "write true or false",
        )
        return None

    def to_text(self, value: Any) -> str:
        """`true` or `false`."""
        return "true" if value else "false"


class String(DataType, frozen=True):
    """A text. Lengths are counted in UTF-16 units, as App Engine: an emoji counts two."""

    id: ClassVar[str] = "string"
    text_limit: ClassVar[int] = 16 * 1024**2
    min_length: int = 0
    max_length: int | None = None

    def validate(self, value: Any, notes: Notes) -> str | None:
        """Take a text of a length that is allowed."""
        if not isinstance(value, str):
            notes.error(type_mismatch(value, "text"), "put it in quotes")
            return None
        return self.parse(value, notes)

    def parse(self, text: str, notes: Notes) -> str | None:
        """Take it as it is."""
        if not check_encodable(text, notes):
            return None
        length = len(text.encode("utf-16-le")) // 2
        if length < self.min_length:
            notes.error(
                f"{format_value(text)} {_count(length)}, fewer than {self.min_length}", "make it longer"
            )
        if self.max_length is not None and length > self.max_length:
            notes.error(
                f"{format_value(text)} {_count(length)}, more than {self.max_length}", "make it shorter"
            )
        return text


class Enumeration(DataType, frozen=True):
    """One of some texts."""

    id: ClassVar[str] = "enumeration"
    values: tuple[str, ...] = ()

    def validate(self, value: Any, notes: Notes) -> str | None:
        """Take one of the values."""
        if not isinstance(value, str):
            remedy = "put it in quotes"
            if isinstance(value, bool):
                remedy += ": YAML reads yes, no, on and off as booleans"
            notes.error(f"{format_value(value)} is {describe_type(value)}, not text", remedy)
            return None
        return self.parse(value, notes)

    def parse(self, text: str, notes: Notes) -> str | None:
        """Take one of the values, letter for letter."""
        if text in self.values:
            return text
        allowed = ", ".join(self.values[:20]) + (", ..." if len(self.values) > 20 else "")
        notes.error(
            f"{format_value(text)} is not one of: {allowed}",
            did_you_mean(text, self.values) or "take one of them",
        )
        return None


def _count(length: int) -> str:
    return "has 1 character" if length == 1 else f"has {length} characters"
