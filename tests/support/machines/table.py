"""The table of engines and test files that `make engines` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.support.machines.outcomes import Outcomes

ORDER = ("passed", "failed", "known", "skipped")


def format_table(outcomes: Mapping[str, Outcomes], missing: Mapping[str, str]) -> str:
    """Return a table with a column for each engine, and what failed and is missing below."""
    return "\n".join(_lines(outcomes, missing))


def _lines(outcomes: Mapping[str, Outcomes], missing: Mapping[str, str]) -> Iterator[str]:
    files = sorted({file for each in outcomes.values() for file in each.files})
    rows = [["passed/failed/known/skipped", *outcomes]]
    rows += [[file, *(_cell(each.files.get(file)) for each in outcomes.values())] for file in files]
    totals = [sum(each.files.values(), Counter()) for each in outcomes.values()]
    rows.append(["total", *map(_cell, totals)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    yield ""
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join((row[0].ljust(widths[0]), *cells))
    for kind, each in outcomes.items():
        yield from (f"FAILED on {kind}: {test}" for test in each.failed)
    yield from (f"skipped {kind}: {reason}" for kind, reason in missing.items())


def _cell(counts: Counter[str] | None) -> str:
    return "/".join(str(counts[name]) for name in ORDER) if counts else "-"
