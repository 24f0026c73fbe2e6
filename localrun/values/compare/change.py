"""A difference between two tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """A difference at `section.path`: the values in the first and in the second task (None: no value).

    `note` describes what the values do not show, such as where two files differ; `details` are lines that
    show it.
    """

    section: str
    path: str
    first: Any = None
    second: Any = None
    note: str = ""
    details: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form, without empty fields."""
        fields = {**asdict(self), "details": list(self.details)}
        return {name: value for name, value in fields.items() if value or name in ("first", "second")}


def diff_values(section: str, path: str, first: Any, second: Any) -> Iterator[Change]:
    """Yield the differences between two JSON values: by key, by index, or as a whole."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in (*first, *(key for key in second if key not in first)):
            inner = f"{path}.{key}" if path else str(key)
            yield from diff_values(section, inner, first.get(key), second.get(key))
    elif isinstance(first, list) and isinstance(second, list):
        yield from _items(section, path, first, second)
    elif first != second or type(first) is not type(second):
        yield Change(section, path, first, second)


def _items(section: str, path: str, first: list[Any], second: list[Any]) -> Iterator[Change]:
    if len(first) != len(second):
        yield Change(section, path, note=f"{len(first)} and {len(second)} items")
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        yield from diff_values(section, f"{path}[{index}]", one, other)
