"""What differs, where, and a picture of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiffImage:
    """A picture of a difference: a whole file. `suffix` says of which format: `.png` or `.svg`."""

    suffix: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which outputs differ from what was expected; `details` are lines that show it."""

    path: str
    message: str
    details: tuple[str, ...] = ()
    image: DiffImage | None = None

    def __str__(self) -> str:
        return "\n".join([f"{self.path}: {self.message}", *(f"    {line}" for line in self.details)])


class Findings:
    """Collects differences at one path."""

    __slots__ = ("found", "path")

    def __init__(self, path: str, found: list[Difference] | None = None) -> None:
        self.path = path
        self.found = [] if found is None else found

    def at(self, part: object) -> Findings:
        """The same list, one level deeper."""
        return Findings(f"{self.path}.{part}", self.found)

    def add(self, message: str, details: tuple[str, ...] = (), image: DiffImage | None = None) -> None:
        """Say what differs."""
        self.found.append(Difference(self.path, message, details, image))
