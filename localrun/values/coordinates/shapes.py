"""Read valid geometries: their lines for checks, and a compact copy for drawing."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import Any, NamedTuple

import msgspec

Line = list[list[float]]
Box = tuple[float, float, float, float]  # x and y of the lower left and the upper right corner

_AREAS = ("Polygon", "MultiPolygon")


class Shape(NamedTuple):
    """A bare geometry of GeoJSON, and the radius of a Circle (0 for any other)."""

    kind: str
    coordinates: Any
    radius: float = 0.0

    @property
    def is_area(self) -> bool:
        return self.kind in _AREAS or self.radius > 0

    def lines(self) -> Iterator[tuple[Line, bool]]:
        """Yield each line, ring or group of points, and whether it is a hole of a polygon."""
        if self.kind == "Point":
            yield [self.coordinates], False
        elif self.kind in ("MultiPoint", "LineString"):
            yield self.coordinates, False
        elif self.kind == "MultiLineString":
            yield from ((line, False) for line in self.coordinates)
        else:
            polygons = [self.coordinates] if self.kind == "Polygon" else self.coordinates
            yield from ((ring, number > 0) for rings in polygons for number, ring in enumerate(rings))

    def length(self) -> int:
        """Return the number of positions."""
        return sum(len(line) for line, _ in self.lines())

    def box(self) -> Box | None:
        """Return the bounding box; None for an empty geometry."""
        points = list(chain.from_iterable(line for line, _ in self.lines()))
        if not points:
            return None
        xs, ys = [point[0] for point in points], [point[1] for point in points]
        return min(xs) - self.radius, min(ys) - self.radius, max(xs) + self.radius, max(ys) + self.radius

    def fingerprint(self) -> int:
        """Return a number that two geometries share if they have the same positions in any order."""
        points = frozenset((point[0], point[1]) for line, _ in self.lines() for point in line)
        return hash((self.kind, self.radius, points))


class Outline(NamedTuple):
    """A geometry to draw: its lines as x0, y0, x1, y1, ..., and whether each is a hole."""

    is_area: bool
    is_points: bool
    radius: float
    lines: tuple[tuple[array[float], bool], ...]


def decode(data: bytes | str | dict[str, Any]) -> Shape:
    """Return the geometry in a value that passed the checks of its type. Raises `ValueError` for others."""
    found = data if isinstance(data, dict) else msgspec.json.decode(data)
    inner, radius = found, 0.0
    if found.get("type") == "Feature":
        inner = found["geometry"]
        properties = found.get("properties") or {}
        is_circle = properties.get("subType") == "Circle" and inner["type"] == "Point"
        radius = float(properties["radius"]) if is_circle else 0.0
    return Shape(inner["type"], inner["coordinates"], radius)


def outline(geometry: Shape) -> Outline:
    lines = tuple((array("d", _flat(line)), hole) for line, hole in geometry.lines())
    is_points = geometry.kind in ("Point", "MultiPoint")
    return Outline(geometry.is_area, is_points, geometry.radius, lines)


def _flat(line: Line) -> Iterable[float]:
    return chain.from_iterable((point[0], point[1]) for point in line)


def defects(geometry: Shape) -> Iterator[str]:
    """Yield what is wrong with a geometry that App Engine accepts; it refuses polygons without an area."""
    lines = [line for line, _ in geometry.lines()]
    if not any(lines):
        yield "empty"
        return
    if geometry.kind == "MultiPoint":
        if len({tuple(point[:2]) for point in lines[0]}) < len(lines[0]):
            yield "repeated points"
        return
    if any(one[:2] == other[:2] for line in lines for one, other in pairwise(line)):
        yield "repeated points"
