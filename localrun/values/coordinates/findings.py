"""What the check of one parameter found, folded to one warning of each kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from localrun.descriptor.types import Notes
from localrun.values.coordinates.folding import fold_places
from localrun.values.coordinates.shapes import Box

_SHOWN = 3


@dataclass(slots=True)
class Places:
    """The first places of a finding, and how many there are."""

    first: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, place: str) -> None:
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(place)

    def __str__(self) -> str:
        return fold_places(self.first, self.count)


@dataclass(slots=True)
class GeometryFindings:
    """The findings on the geometries of one parameter."""

    name: str
    total: int = 0
    outside: Places = field(default_factory=Places)
    images: list[str] = field(default_factory=list)  # that something is outside of, with their sizes
    defects: dict[str, Places] = field(default_factory=dict)
    duplicates: Places = field(default_factory=Places)
    without_image: Places = field(default_factory=Places)
    unchecked: int = 0

    def add_outside(self, place: str, box: Box, image: str) -> None:
        x0, y0, x1, y1 = box
        where = f"x {_span(x0, x1)}, y {_span(y0, y1)}"
        self.outside.add(where if place == self.name else f"{place} ({where})")
        if image not in self.images and len(self.images) < _SHOWN:
            self.images.append(image)

    def add_defect(self, kind: str, place: str) -> None:
        self.defects.setdefault(kind, Places()).add(place)

    def report(self, notes: Notes) -> None:
        """Add the warnings. A parameter with one geometry needs no places."""
        if self.outside.count:
            where = self.images[0] if len(self.images) == 1 else f"their images ({', '.join(self.images)})"
            who = f"{self.outside.count} of {self.total} geometries " if self.total > 1 else ""
            notes.warn(f"{who}outside {where}: {self.outside}")
        if self.without_image.count:
            who = f"{self.without_image.count} of {self.total} geometries"
            notes.warn(f"{who} are in an array without an image: {self.without_image}")
        for kind, places in self.defects.items():
            notes.warn(kind if places.first == [self.name] else f"{kind}: {places}")
        if self.duplicates.count:
            notes.warn(f"duplicates: {self.duplicates}")
        if self.unchecked:
            checked = self.total - self.unchecked
            notes.warn(f"only the first {checked} of {self.total} geometries were checked for mistakes")


def _span(low: float, high: float) -> str:
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
