"""The limit on the size of a report, and what is left out because of it."""

from __future__ import annotations

from localrun.units import format_bytes


class SizeBudget:
    """The bytes that may still be added. `omitted` lists what was left out, with the reason."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.omitted: list[str] = []
        self._left = size

    def take(self, count: int) -> bool:
        """Use bytes. Return whether there were enough."""
        if count > self._left:
            return False
        self._left -= count
        return True

    def allow(self, count: int, what: str) -> bool:
        """Use bytes, or list `what` as left out. Return whether there were enough."""
        if self.take(count):
            return True
        self.omit(f"{what} ({format_bytes(count)}): the report has {format_bytes(self.size)} at most")
        return False

    def omit(self, what: str) -> None:
        self.omitted.append(what)
