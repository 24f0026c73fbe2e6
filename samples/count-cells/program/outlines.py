"""Trace the outlines of groups of pixels as valid GeoJSON polygons.

Pixels are numbered in rows from the top of the image. Geometries have their origin in the lower left corner
and y upwards, as App Engine reads them.
"""

from __future__ import annotations

from collections.abc import Iterable

Point = tuple[int, int]
Ring = list[Point]


def multipolygon(cells: Iterable[Iterable[int]], width: int, height: int) -> dict[str, object]:
    """Return a GeoJSON MultiPolygon with a polygon per group, in pixels from the lower left corner.

    Each group must hang together by the sides of its pixels, and no two groups may share a side: then
    polygons meet in single points at most, which makes the whole valid.
    """
    return {"type": "MultiPolygon", "coordinates": [polygon(cell, width, height) for cell in cells]}


def polygon(cell: Iterable[int], width: int, height: int) -> list[Ring]:
    """Return the outer ring (counterclockwise by RFC 7946), then the rings of the holes (clockwise)."""
    pixels = {(at % width, height - 1 - at // width) for at in cell}  # the last row is at y = 0
    rings = [_corners(ring) for ring in _rings(_edges(pixels))]
    rings.sort(key=lambda ring: area(ring) < 0)
    return [[*ring, ring[0]] for ring in rings]


def area(ring: Ring) -> float:
    """Return the signed area of a ring; negative if it is clockwise."""
    following = [*ring[1:], ring[0]]
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, following, strict=True)) / 2


def _edges(pixels: set[Point]) -> dict[Point, list[Point]]:
    """Map the start to the ends of each boundary edge, all with the inside on the same side."""
    edges: dict[Point, list[Point]] = {}
    for x, y in sorted(pixels):
        corners = (x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)
        beyond = (x, y - 1), (x + 1, y), (x, y + 1), (x - 1, y)
        for i, outside in enumerate(beyond):
            if outside not in pixels:
                edges.setdefault(corners[i], []).append(corners[(i + 1) % 4])
    return edges


def _rings(edges: dict[Point, list[Point]]) -> list[Ring]:
    rings = []
    while edges:
        rings.append(_ring(edges, next(iter(edges))))
    return rings


def _ring(edges: dict[Point, list[Point]], start: Point) -> Ring:
    """Remove one closed ring from the edges and return it.

    Where two pixels touch only in a corner, the way goes over to the other pixel. So no ring comes to the
    same point twice: a pocket that closes in a corner becomes a hole that touches the outer ring there.
    """
    ring = [start]
    at = _take(edges, start, edges[start][0])
    while at != start:
        before = ring[-1]
        ring.append(at)
        at = _take(edges, at, max(edges[at], key=lambda end: _turn(before, ring[-1], end)))
    return ring


def _take(edges: dict[Point, list[Point]], start: Point, end: Point) -> Point:
    edges[start].remove(end)
    if not edges[start]:
        del edges[start]
    return end


def _turn(before: Point, at: Point, after: Point) -> int:
    """Return the direction of a turn: 1 or -1, or 0 for straight."""
    return (at[1] - before[1]) * (after[0] - at[0]) - (at[0] - before[0]) * (after[1] - at[1])


def _corners(ring: Ring) -> Ring:
    """Return the ring without collinear points."""
    around = zip([ring[-1], *ring[:-1]], ring, [*ring[1:], ring[0]], strict=True)
    return [at for before, at, after in around if _turn(before, at, after)]
