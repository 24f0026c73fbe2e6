"""Lists of values of one type, possibly nested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from localrun.descriptor.types.base import DataType, Notes, format_value, type_mismatch
from localrun.descriptor.types.files import File, Image
from localrun.descriptor.types.scalars import String
from localrun.units import format_count

_TEXT = String()


class Array(DataType, frozen=True):
    """A list of items of one type; a bound of None does not apply."""

    id: ClassVar[str] = "array"
    subtype: DataType = _TEXT
    min_size: int | None = None
    max_size: int | None = None

    def validate(self, value: Any, notes: Notes) -> list[Any] | None:
        items = self.validate_items(value, notes)
        if items is None:
            return None
        return [self.subtype.validate(item, notes.child(index)) for index, item in enumerate(items)]

    def validate_items(self, value: Any, notes: Notes) -> Sequence[Any] | None:
        """Return the items of a list or of App Engine's `[{"index": 0, "value": ...}]`; check the size."""
        if not isinstance(value, (list, tuple)):
            notes.error(type_mismatch(value, "a list"), "pass a list such as [1, 2]")
            return None
        items = _by_index(value, notes) if _is_indexed(value) else value
        if items is not None:
            self.check_size(len(items), notes)
        return items

    def check_size(self, size: int, notes: Notes) -> None:
        if self.min_size is not None and size < self.min_size:
            notes.error(f"has {format_count(size, 'item')}, expected at least {self.min_size}", "add items")
        if self.max_size is not None and size > self.max_size:
            notes.error(f"has {format_count(size, 'item')}, expected at most {self.max_size}", "remove items")

    def to_json(self, value: Any) -> Any:
        return [self.subtype.to_json(item) for item in value]


def _is_indexed(value: Sequence[Any]) -> bool:
    return bool(value) and all(isinstance(item, dict) and set(item) == {"index", "value"} for item in value)


def _by_index(value: Sequence[Any], notes: Notes) -> list[Any] | None:
    indexes = [item["index"] for item in value]
    whole = all(isinstance(index, int) and not isinstance(index, bool) for index in indexes)
    if not whole or sorted(indexes) != list(range(len(value))):
        notes.error(f"invalid indexes {format_value(indexes)}", f"use each of 0 to {len(value) - 1} once")
        return None
    return [item["value"] for item in sorted(value, key=lambda item: item["index"])]


def holds_files(kind: DataType) -> bool:
    """Return whether the values are files or lists of files, which only a user may name."""
    return holds_files(kind.subtype) if isinstance(kind, Array) else isinstance(kind, (File, Image))
