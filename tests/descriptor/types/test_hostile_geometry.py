"""Geometries that are slow to check."""

from __future__ import annotations

import json
import math

from localrun.descriptor.types import Notes
from localrun.descriptor.types.geometry import Geometry


def problems(polygon: list[list[list[float]]]) -> list[str]:
    notes = Notes("region")
    Geometry().parse(json.dumps({"type": "Polygon", "coordinates": polygon}), notes)
    return [problem.message for problem in notes.problems]


def star(points: int) -> list[list[float]]:
    """A ring whose edges all pass near its center, so that all of their boxes overlap."""
    angles = [2 * math.pi * number / points for number in range(points)]
    radii = [1e6 if number % 2 else 1.0 for number in range(points)]
    ring = [[radius * math.cos(a), radius * math.sin(a)] for radius, a in zip(radii, angles, strict=True)]
    return [*ring, ring[0]]


def test_a_polygon_whose_edges_all_overlap_is_refused_before_the_slow_check() -> None:
    assert "too complex to check: about 2 billion pairs" in problems([star(80_000)])[0]


def test_a_large_ordinary_polygon_is_checked() -> None:
    circle = [[math.cos(n / 1e4) * 1e5, math.sin(n / 1e4) * 1e5] for n in range(62_000)]
    assert problems([[*circle, circle[0]]]) == []


def test_a_large_polygon_with_many_holes_is_checked() -> None:
    outer = [[0.0, 0.0], [1e6, 0.0], [1e6, 1e6], [0.0, 1e6], [0.0, 0.0]]
    holes = [[[1.0, y], [9.0, y], [9.0, y + 0.5], [1.0, y]] for y in map(float, range(1, 5_000))]
    assert problems([outer, *holes]) == []
    assert (
        "is outside its polygon"
        in problems([outer, *holes, [[2e6, 0.0], [3e6, 0.0], [3e6, 1.0], [2e6, 0.0]]])[0]
    )
