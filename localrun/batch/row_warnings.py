"""The warnings of the tasks of a batch, counted by rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localrun.batch.backend import RowResult
from localrun.units import format_count

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MOST_KINDS = 100  # that are counted
_MOST_LINES = 5


@dataclass
class _Kind:
    """A warning as the first row had it, the name of that row, and the number of rows."""

    message: str
    first: str
    rows: int = 0

    def __str__(self) -> str:
        rows = format_count(self.rows, "row")
        where = f"row {self.first}" if self.rows == 1 else f"{rows}, first {self.first}"
        return f"warning: {where}: {self.message}"


class RowWarnings:
    """Counts the rows that have each warning. Warnings that differ only in numbers are the same one."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._others = 0

    def add(self, result: RowResult, name: str) -> None:
        """Count the warnings of a row; those of a reused result were shown when its task ran."""
        if result.reused:
            return
        messages = {_NUMBER.sub("0", message): message for message in result.warnings}
        for kind, message in messages.items():
            if kind in self._kinds or len(self._kinds) < _MOST_KINDS:
                self._kinds.setdefault(kind, _Kind(message, name)).rows += 1
            else:
                self._others += 1

    def fields(self) -> dict[str, Any]:
        """Return the counts as JSON; empty without warnings."""
        found = [{"message": one.message, "rows": one.rows, "first": one.first} for one in self._ordered()]
        return {"warnings": found} if found else {}

    def lines(self) -> Iterator[str]:
        """Yield the warnings for display, the most frequent ones first."""
        ordered = self._ordered()
        yield from map(str, ordered[:_MOST_LINES])
        if rest := sum(one.rows for one in ordered[_MOST_LINES:]) + self._others:
            yield f"{format_count(rest, 'more warning')}: `localrun status ID` shows those of a task"

    def _ordered(self) -> list[_Kind]:
        return sorted(self._kinds.values(), key=lambda one: -one.rows)
