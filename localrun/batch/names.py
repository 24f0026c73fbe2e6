"""The names of rows, which are the folders of their outputs."""

from __future__ import annotations

from collections.abc import Iterator

from localrun.batch.rows import Row
from localrun.errors import Problem

_DIGITS = 4  # at least, so that most batches keep their names when they grow
_MOST_BYTES = 200
RESERVED = ("results.csv", "results.jsonl")


def row_name(row: Row, total: int) -> str:
    """Return the id of a row, or its zero-padded number."""
    return row.id or f"{row.number:0{max(_DIGITS, len(str(total)))}d}"


class RowNames:
    """Finds ids that cannot be folders, or that two rows have."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def check(self, row: Row) -> Iterator[Problem]:
        """Yield the problems of a row's id."""
        if not row.id:
            return
        if reason := _reason(row.id):
            remedy = "use letters, digits, '-', '_' and '.', not at the start"
            yield Problem("inputs.id", f"id {row.id[:80]!r} {reason}", remedy)
            return
        first = self._seen.setdefault(row.id, row.number)
        if first != row.number:
            yield Problem("inputs.id", f"duplicate id {row.id!r}", f"row {first} has it, too")


def _reason(name: str) -> str:
    """Return why a name cannot be a folder; empty if it can."""
    if "/" in name or "\\" in name:
        return "contains a slash"
    if name.startswith((".", "-", " ")) or name.endswith(" "):
        return "starts with a dot or a dash, or has spaces around it"
    if not name.isprintable():
        return "contains a control character"
    if len(name.encode("utf-8", "surrogateescape")) > _MOST_BYTES:
        return f"is longer than {_MOST_BYTES} bytes"
    return "is the name of the table of results" if name in RESERVED else ""
