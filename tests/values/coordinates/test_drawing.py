"""Geometries are drawn with y upwards, and cover the pixels whose centers they contain."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from localrun.values.coordinates.drawing import draw
from localrun.values.coordinates.shapes import decode, outline

WIDTH, HEIGHT = 8, 6


def drawn(*geometries: dict[str, Any], size: tuple[int, int] = (WIDTH, HEIGHT)) -> list[str]:
    outlines = [outline(decode(json.dumps(geometry))) for geometry in geometries]
    found = draw(outlines, size, (HEIGHT, WIDTH))
    return ["".join(".#"[int(pixel)] for pixel in row) for row in found]


def square(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def test_a_polygon_at_the_origin_is_at_the_bottom_left() -> None:
    assert drawn(polygon(square(0, 0, 2, 1))) == ["........"] * 5 + ["##......"]


def test_a_hole_is_left_out_whatever_the_direction_of_the_rings() -> None:
    ring, hole = square(1, 1, 5, 4), square(2, 2, 3, 3)
    expected = ["........", "........", ".####...", ".#.##...", ".####...", "........"]

    for rings in ((ring, hole), (ring[::-1], hole), (ring, hole[::-1])):
        assert drawn(polygon(*rings)) == expected


def test_polygons_that_overlap_are_one_area_whatever_their_directions() -> None:
    one, other = square(1, 1, 5, 4), square(3, 1, 7, 4)

    assert drawn(polygon(one), polygon(other[::-1])) == [
        *["........"] * 2,
        *[".######."] * 3,
        "........",
    ]


def test_every_part_of_a_multipolygon_is_drawn() -> None:
    parts = {"type": "MultiPolygon", "coordinates": [[square(0, 5, 1, 6)], [square(7, 0, 8, 1)]]}

    assert drawn(parts) == ["#.......", *["........"] * 4, ".......#"]


def test_points_circles_and_lines_are_drawn_as_areas() -> None:
    circle = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [4, 3]},
        "properties": {"subType": "Circle", "radius": 2.5},
    }
    assert drawn({"type": "MultiPoint", "coordinates": [[1, 1], [7, 5]]}) == [
        *["......##"] * 2,
        *["........"] * 2,
        *["##......"] * 2,
    ]
    assert drawn(circle)[1:5] == ["..####..", "..####..", "..####..", "..####.."]
    assert drawn({"type": "LineString", "coordinates": [[0, 2.5], [8, 2.5]]})[3] == "########"


def test_geometries_of_a_larger_image_are_scaled_down() -> None:
    assert drawn(polygon(square(0, 0, 200, 100)), size=(800, 600)) == ["........"] * 5 + ["##......"]


def test_what_is_outside_of_the_image_is_cut_off_however_far_away() -> None:
    assert drawn(polygon(square(-1e300, -1e300, 1e300, 3))) == ["........"] * 3 + ["########"] * 3
    assert drawn(polygon(square(20, 20, 30, 30))) == ["........"] * HEIGHT


def test_edges_that_cross_very_many_rows_are_drawn_in_pieces(monkeypatch: Any) -> None:
    monkeypatch.setattr("localrun.values.coordinates.drawing._MAX_CROSSINGS", 10)
    comb = [[0.0, 0.0], *([x / 2, 6.0 if x % 2 else 0.0] for x in range(1, 17)), [0.0, 0.0]]
    outlines = [outline(decode(polygon(comb)))]

    pieces = draw(outlines, (WIDTH, HEIGHT), (HEIGHT, WIDTH))
    monkeypatch.undo()

    assert np.array_equal(pieces, draw(outlines, (WIDTH, HEIGHT), (HEIGHT, WIDTH)))
