"""How many rows of a batch reused a result, and why the others did not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from localrun.batch.backend import RowResult
from localrun.units import format_count

_CHANGE = re.compile(r"(\S+) .* -> .*", re.DOTALL)  # of a value
_EARLIER = re.compile(r"task \w+ (was|is) the same, but .*", re.DOTALL)
_MOST_REASONS = 5


class ReuseCounts:
    """Counts rows by what became of their reuse; empty if no results were to be reused."""

    def __init__(self) -> None:
        self._reused = 0
        self._reasons: Counter[str] = Counter()

    def add(self, result: RowResult) -> None:
        """Count a row."""
        self._reused += result.reused
        if result.not_reused:
            self._reasons[_kind(result.not_reused[0])] += 1

    def fields(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        if not self._reused and not self._reasons:
            return {}
        return {"reused": self._reused, "not_reused": dict(self._reasons.most_common())}

    def lines(self) -> Iterator[str]:
        """Yield the counts for display, the most frequent reasons first."""
        if self._reused:
            yield f"reused the results of {format_count(self._reused, 'row', grouped=True)}"
        shown = self._reasons.most_common(_MOST_REASONS)
        rest = self._reasons.total() - sum(count for _, count in shown)
        for reason, count in [*shown, *([("other reasons", rest)] if rest else [])]:
            yield f"not reused: {format_count(count, 'row', grouped=True)}: {reason}"


def _kind(reason: str) -> str:
    """Return a reason without what differs from row to row."""
    if found := _CHANGE.fullmatch(reason):
        return f"{found[1]} changed"
    return "an earlier result was changed or deleted" if _EARLIER.fullmatch(reason) else reason
