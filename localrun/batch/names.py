"""The names of rows, which are the folders of their outputs."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from localrun.batch.rows import Row
from localrun.errors import Problem

_DIGITS = 4  # at least, so that most batches keep their names when they grow
_MOST_DIGITS = 18
_MOST_BYTES = 200
_PATH = "inputs.id"
RESERVED = ("results.csv", "results.jsonl")


def row_name(row: Row, total: int) -> str:
    """Return the id of a row, or its zero-padded number."""
    return row.id or padded(row.number, total)


def padded(number: int, total: int) -> str:
    return f"{number:0{max(_DIGITS, len(str(total)))}d}"


class RowNames:
    """Finds ids that cannot be folders, or that two rows have."""

    def __init__(self, tables: Collection[str] = ()) -> None:
        """`tables` are the names of the tables of results in the folder of the outputs."""
        self._tables = {*RESERVED, *tables}
        self._seen: dict[str, int] = {}

    def check(self, row: Row) -> Iterator[Problem]:
        """Yield the problems of a row's id."""
        if not row.id:
            return
        reason = _reason(row.id)
        if row.id in self._tables:
            reason = "is the name of the table of results"
        if reason:
            yield Problem(_PATH, f"id {row.id[:80]!r} {reason}", "use letters, digits, '-' and '_'")
            return
        first = self._seen.setdefault(row.id, row.number)
        if first != row.number:
            yield Problem(_PATH, f"duplicate id {row.id!r}", f"row {first} has it, too")

    def check_numbers(self, total: int) -> Iterator[tuple[int, Problem]]:
        """Yield the rows whose id is the zero-padded number of a row without one, with the problem."""
        named = set(self._seen.values())
        for name, number in self._seen.items():
            other = int(name) if name.isdecimal() and len(name) <= _MOST_DIGITS else 0
            if 0 < other <= total and other not in named and padded(other, total) == name:
                message = f"id {name!r} is the number of another row"
                yield number, Problem(_PATH, message, f"give row {other} an id, too")


def _reason(name: str) -> str:
    """Return why a name cannot be a folder; empty if it can."""
    if "/" in name or "\\" in name:
        return "contains a slash"
    if name.startswith((".", "-")):
        return "starts with a dot or a dash"
    if not name.isprintable():
        return "contains a control character"
    if name != name.strip():
        return "has spaces around it"
    is_long = len(name.encode("utf-8", "surrogateescape")) > _MOST_BYTES
    return f"is longer than {_MOST_BYTES} bytes" if is_long else ""
