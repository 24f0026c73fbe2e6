"""Differences from expected outputs, and images of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiffImage:
    """An image of a difference, as the content of a file. `suffix` is `.png` or `.svg`."""

    suffix: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference from the expected outputs. `details` are lines that show it."""

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

    def child(self, part: object) -> Findings:
        """Return findings for a nested path, with the same list."""
        return Findings(f"{self.path}.{part}", self.found)

    def add(self, message: str, details: tuple[str, ...] = (), image: DiffImage | None = None) -> None:
        self.found.append(Difference(self.path, message, details, image))
