"""Defects that App Engine accepts are found in every type of geometry, and only there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localrun.descriptor.types import Geometry, Notes
from localrun.values.coordinates.shapes import decode, defects

RING = [[0, 0], [4, 0], [4, 4], [0, 0]]


def found(kind: str, coordinates: Any) -> list[str]:
    return list(defects(decode({"type": kind, "coordinates": coordinates})))


@pytest.mark.parametrize(
    ("kind", "coordinates"),
    [
        ("Point", [1, 2]),
        ("MultiPoint", [[1, 2], [3, 4]]),
        ("LineString", [[1, 2], [3, 4], [1, 2]]),
        ("MultiLineString", [[[1, 2], [3, 4]], [[3, 4], [1, 2]]]),
        ("Polygon", [RING]),
        ("Polygon", [[[1e-9 * x, 1e-9 * y] for x, y in RING]]),
        ("Polygon", [[[1e9 + x, 1e9 + y] for x, y in RING]]),
        ("MultiPolygon", [[RING], [[[9, 9], [12, 9], [12, 12], [9, 9]]]]),
    ],
)
def test_a_good_geometry_has_no_defects(kind: str, coordinates: Any) -> None:
    assert found(kind, coordinates) == []


@pytest.mark.parametrize("kind", ["MultiPoint", "MultiLineString", "MultiPolygon"])
def test_a_geometry_without_parts_is_empty(kind: str) -> None:
    assert found(kind, []) == ["empty"]


@pytest.mark.parametrize(
    ("kind", "coordinates"),
    [
        ("MultiPoint", [[1, 2], [3, 4], [1, 2]]),
        ("LineString", [[1, 2], [1, 2], [3, 4]]),
        ("MultiLineString", [[[1, 2], [3, 4]], [[1, 2], [3, 4], [3, 4]]]),
        ("Polygon", [RING, [[1, 0.5], [2, 0.5], [2, 0.5], [2, 1], [1, 0.5]]]),
        ("MultiPolygon", [[RING], [[[9, 9], [9, 9], [12, 9], [12, 12], [9, 9]]]]),
    ],
)
def test_repeated_points_are_found(kind: str, coordinates: Any) -> None:
    assert found(kind, coordinates) == ["repeated points"]


@pytest.mark.parametrize("ring", [[[0, 0], [2, 2], [4, 4], [0, 0]], [[0, 0], [1, 0], [0, 0], [0, 0]]])
def test_a_polygon_without_an_area_is_an_error_of_its_type(ring: Any) -> None:
    notes = Notes("outputs.o")
    Geometry().parse(json.dumps({"type": "Polygon", "coordinates": [ring]}), notes)

    assert [problem.path for problem in notes.problems] == ["outputs.o"]


def test_a_feature_is_unwrapped_and_only_a_circle_has_a_radius() -> None:
    point = {"type": "Point", "coordinates": [5, 7]}
    circle = {"type": "Feature", "geometry": point, "properties": {"subType": "Circle", "radius": 3}}
    plain = {"type": "Feature", "geometry": point, "properties": None}

    assert decode(json.dumps(circle)).box() == (2, 4, 8, 10)
    assert decode(plain).box() == (5, 7, 5, 7)


def test_the_fingerprint_ignores_the_first_corner_and_the_direction_of_a_ring() -> None:
    turned = [*RING[1:], RING[1]]
    shapes = [decode({"type": "Polygon", "coordinates": [ring]}) for ring in (RING, turned, RING[::-1])]
    other = decode({"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 5], [0, 0]]]})

    assert len({shape.fingerprint() for shape in shapes}) == 1
    assert other.fingerprint() != shapes[0].fingerprint()
