"""GeoJSON as App Engine accepts it, and the position of every problem in the rest."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun import values
from localrun.descriptor.divergences import divergence
from localrun.descriptor.types import Geometry, Notes
from localrun.descriptor.types.geojson import NESTING
from localrun.errors import InputsError
from tests.support.descriptors import make

SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
HOLE = [[1, 1], [2, 1], [2, 2], [1, 1]]


def shape(kind: str, coordinates: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates, **more}


def feature(geometry: Any, properties: Any = None) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def look(value: Any) -> Notes:
    """Check a value in text form, like the content of a file."""
    notes = Notes("g")
    Geometry().parse(value if isinstance(value, str) else json.dumps(value), notes)
    return notes


def told(value: Any) -> list[str]:
    return [f"{problem.path}: {problem.message}" for problem in look(value).problems]


FIT = [
    shape("Point", [1, 2]),
    shape("Point", [1.5, -2, 3]),
    shape("MultiPoint", [[1, 2], [1, 2]]),
    shape("LineString", [[0, 0], [1, 1]]),
    shape("MultiLineString", [[[0, 0], [1, 1]], [[0, 0], [1, 1]]]),
    shape("Polygon", [SQUARE]),
    shape("Polygon", [SQUARE, HOLE]),
    shape("MultiPolygon", [[SQUARE], [[[9, 9], [10, 9], [10, 10], [9, 9]]]]),
    shape("MultiPolygon", []),
    shape("Point", [1, 2], bbox=[1, 2, 1, 2], crs={"type": "name"}),
    feature(shape("Point", [1, 2])),
    feature(shape("Point", [1, 2]), {}),
    feature(shape("Point", [1, 2]), {"subType": "Circle", "radius": 2.5, "label": "cell"}),
    feature(shape("Polygon", [SQUARE]), {"subType": "Rectangle"}),
    feature(shape("Polygon", [[[0, 1], [1, 0], [2, 1], [1, 2], [0, 1]]]), {"subType": "Rectangle"}),
    {"type": "Feature", "geometry": shape("Point", [1, 2])},
]


@pytest.mark.parametrize("value", FIT, ids=lambda value: json.dumps(value)[:60])
def test_a_geometry_that_is_allowed_is_taken(value: Any) -> None:
    notes = look(value)

    assert (notes.problems, notes.warnings) == ([], [])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            shape("Polygon", [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]),
            "g: invalid geometry: the polygon crosses or touches itself at [1, 1]",
        ),
        (
            shape("MultiPolygon", [[SQUARE], [[[1, 1], [2, 1], [2, 2], [1, 1]]]]),
            "g: invalid geometry: a polygon is inside another one at [1, 1]",
        ),
        (
            shape("Polygon", [SQUARE, [[6, 6], [7, 6], [7, 7], [6, 6]]]),
            "g: invalid geometry: a hole is outside its polygon at [6, 6]",
        ),
        (
            shape("Polygon", [[[0, 0], [1, 1], [1, 1], [0, 0]]]),
            "g: invalid geometry: a ring has fewer than 3 distinct positions at [0, 0]",
        ),
        (
            shape("Polygon", [[[0, 0], [1, 0], [1, 1]]]),
            "g.coordinates.0: the ring is not closed: it starts at [0, 0] and ends at [1, 1]",
        ),
        (
            shape("Polygon", [[[0, 0], [1, 0], [0, 0]]]),
            "g.coordinates.0: a ring has 3 positions, expected at least 4",
        ),
        (
            shape("Polygon", SQUARE),
            "g.coordinates: the coordinates of a Polygon must start with [[[, not with [[",
        ),
        (
            shape("Point", [[1, 2]]),
            "g.coordinates: the coordinates of a Point must start with [, not with [[",
        ),
        (shape("Point", 5), "g.coordinates: the coordinates of a Point must start with [, not with 5"),
        (shape("Point", None), "g.coordinates: expected a position, got null"),
        (shape("Point", [1]), "g.coordinates: a position has 1 number, expected at least 2"),
        (shape("Point", []), "g.coordinates: a position has 0 numbers, expected at least 2"),
        (shape("Point", [1, "2"]), "g.coordinates.1: invalid coordinate '2'"),
        (shape("Point", [True, 2]), "g.coordinates.0: invalid coordinate true"),
        (shape("Point", [10**400, 2]), "g.coordinates.0: invalid coordinate <1329-bit integer>"),
        (shape("LineString", [[1, 1]]), "g.coordinates: a line has 1 position, expected at least 2"),
        (shape("LineString", [[1, 1], [1, 1, 5]]), "g.coordinates: all positions of the line are [1, 1]"),
        (shape("LineString", {}), "g.coordinates: expected a list of positions, got {} (object)"),
        (shape("Polygon", []), "g.coordinates: empty list of rings or lines"),
        (shape("MultiPoint", [[1, 2], 3]), "g.coordinates.1: expected a position, got 3 (integer)"),
        ({"type": "Point"}, "g: the Point has no coordinates"),
        ({"coordinates": [1, 2]}, "g: missing type"),
        ({"type": ["Point"]}, "g: unknown type ['Point']"),
        (shape("polygon", []), "g: unknown type 'polygon'"),
        (
            {"type": "FeatureCollection", "features": []},
            "g: App Engine does not accept a FeatureCollection",
        ),
        ({"type": "GeometryCollection"}, "g: App Engine does not accept a GeometryCollection"),
        (feature(None), "g: the Feature has no geometry"),
        (feature(feature(FIT[0])), "g.geometry: a Feature cannot contain a Feature"),
        (
            feature({"type": "GeometryCollection"}),
            "g.geometry: App Engine does not accept a GeometryCollection",
        ),
        (feature(FIT[0], [1]), "g.properties: expected an object, got [1] (list)"),
        (feature(FIT[0], {"subType": "circle"}), "g.properties.subType: unknown subtype 'circle'"),
        (feature(FIT[0], {"subType": "Circle"}), "g.properties: the Circle has no radius"),
        (feature(FIT[0], {"subType": "Circle", "radius": 0}), "g.properties.radius: invalid radius 0"),
        (feature(FIT[0], {"subType": "Circle", "radius": "5"}), "g.properties.radius: invalid radius '5'"),
        ([1], "g: expected a GeoJSON object, got [1] (list)"),
        ("[" * 100_000, "g: nested too deeply"),
        (" \n", "g: must not be blank"),
        ("POINT (1 2)", "g: invalid JSON 'POINT (1 2)': invalid character (byte 0)"),
        (
            '{"type": "Point", "coordinates": [1, NaN]}',
            """g: invalid JSON '{"type": "Point", "coordinates": [1, NaN]}': invalid character (byte 37)""",
        ),
        (
            '{"coordinates": [1, -Infinity]}',
            """g: invalid JSON '{"coordinates": [1, -Infinity]}': invalid character (byte 21)""",
        ),
        (
            '{"coordinates": [1, 1e999]}',
            """g: number too large in '{"coordinates": [1, 1e999]}'""",
        ),
        ('{"type": "Point"', """g: invalid JSON '{"type": "Point"': Input data was truncated"""),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_what_is_wrong_with_a_geometry_is_told_with_where(value: Any, message: str) -> None:
    assert told(value) == [message]


def test_all_that_is_wrong_is_told_at_once() -> None:
    # Given an open ring, a short ring and invalid positions
    rings = [[[0, 0], [1, 0], [1, 1], [2, 2]], [[0, 0], [1, 0], [0, 0]]]

    assert len(told(shape("Polygon", rings))) == 2
    assert len(told(shape("MultiPoint", [[1, 2], [1], ["x", None]]))) == 3


def test_of_a_thousand_problems_twenty_are_told() -> None:
    assert len(told(shape("MultiPoint", [[1]] * 1000))) == 20


@pytest.mark.parametrize(
    ("value", "row"),
    [
        (feature(FIT[0], {"label": "cell"}), "geometry_properties"),
        (feature(shape("Polygon", [HOLE]), {"subType": "Rectangle"}), "geometry_shape"),
        (feature(shape("Polygon", [SQUARE]), {"subType": "Circle", "radius": 1}), "geometry_shape"),
        (shape("LineString", [[1, 2, 3, 4], [5, 6]]), "geometry_places"),
        (shape("Point", [1, 2, 3, 4]), "geometry_places"),
    ],
)
def test_what_the_server_takes_otherwise_is_a_warning(value: Any, row: str) -> None:
    notes = look(value)

    assert notes.problems == []
    assert [divergence(row).reason in warning for warning in notes.warnings] == [True]


def test_an_object_is_written_as_text_and_warned_of() -> None:
    notes = Notes("g")
    found = Geometry().validate(FIT[0], notes)

    assert Geometry().to_text(found) == '{"type":"Point","coordinates":[1,2]}'
    assert notes.warnings == [divergence("geometry_object").format_warning("g")]


def test_a_shape_of_shapely_is_taken_as_its_geojson() -> None:
    import shapely

    notes = Notes("g")
    found = Geometry().validate(shapely.box(0, 0, 2, 1), notes)

    assert json.loads(Geometry().to_text(found))["type"] == "Polygon"
    assert notes.problems == []


@pytest.mark.parametrize("value", [{"type": "Point", "coordinates": [math.nan, 1]}, {"a": {1}}, 5, None])
def test_a_value_that_json_cannot_hold_is_refused(value: Any) -> None:
    notes = Notes("g")

    assert Geometry().validate(value, notes) is None
    assert len(notes.problems) == 1


def test_an_object_that_holds_itself_is_refused() -> None:
    round_trip: dict[str, Any] = {"type": "Point"}
    round_trip["coordinates"] = round_trip

    notes = Notes("g")
    assert Geometry().validate(round_trip, notes) is None
    assert len(notes.problems) == 1


def test_a_geometry_in_a_file_is_checked_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "cell.geojson").write_text(
        json.dumps(shape("Polygon", [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]))
    )

    with pytest.raises(InputsError, match=r"crosses or touches itself at \[1, 1\]"):
        values.provision(make({"g": "geometry"}), {"g": tmp_path / "cell.geojson"}, tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_the_text_of_a_geometry_reaches_the_task_letter_for_letter(tmp_path: Path) -> None:
    text = '{ "type" : "Point", "coordinates": [1.50, 2e0] }'

    values.provision(make({"g": "geometry"}), {"g": text}, tmp_path / "in")

    assert (tmp_path / "in/g").read_text() == text


def test_geometries_that_a_task_wrote_are_checked_each(tmp_path: Path) -> None:
    # Given an array of two outlines, one of them open
    folder = tmp_path / "outlines"
    folder.mkdir()
    (folder / "array.yml").write_text("size: 2")
    (folder / "0").write_text(json.dumps(shape("Polygon", [SQUARE])) + "\n")
    (folder / "1").write_text(json.dumps(shape("Polygon", [SQUARE[:-1]])))

    # When they are collected
    found = values.collect(make(None, {"outlines": {"id": "array", "subtype": "geometry"}}), tmp_path)

    # Then the open one is reported
    assert [problem.path for problem in found.problems] == ["outputs.outlines.1.coordinates.0"]


@pytest.mark.parametrize(
    ("text", "message"), [("  ", "blank file"), ("", "empty file"), ("{", "invalid JSON")]
)
def test_a_geometry_output_without_content_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "g").write_text(text)

    found = values.collect(make(None, {"g": "geometry"}), tmp_path)

    assert message in found.problems[0].message


def test_a_geometry_of_gibibytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "g").open("wb") as stream:
        stream.truncate(10 * 1024**3)

    found = values.collect(make(None, {"g": "geometry"}), tmp_path)
    assert "too many for one geometry" in found.problems[0].message


def test_shapely_is_imported_only_for_polygons() -> None:
    script = """
import json, sys
from localrun.descriptor.types import Geometry, Notes
Geometry().parse(json.dumps({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}), Notes("g"))
assert not {"shapely", "numpy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


# -- anything at all ------------------------------------------------------------------------------

numbers = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
positions = st.lists(numbers, min_size=2, max_size=3)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)
members = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([*NESTING, "Feature", "FeatureCollection", "x"]) | junk,
        "coordinates": st.lists(st.lists(st.lists(positions, max_size=5), max_size=3), max_size=3)
        | st.lists(positions, max_size=5)
        | positions
        | junk,
        "geometry": st.fixed_dictionaries({"type": st.sampled_from([*NESTING]), "coordinates": junk}),
        "properties": st.dictionaries(st.sampled_from(["subType", "radius", "x"]), junk) | junk,
    },
)


@given(members | junk)
def test_any_json_is_taken_or_refused_and_never_crashes(value: Any) -> None:
    text = json.dumps(value)
    notes = Notes("g")

    found = Geometry().parse(text, notes)

    assert (found == text) == (not notes.problems)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_taken_or_refused_and_never_crashes(text: str) -> None:
    notes = Notes("g")

    assert (Geometry().parse(text, notes) is None) == bool(notes.problems)


@given(st.lists(positions, min_size=3, max_size=8))
def test_a_ring_is_valid_exactly_when_shapely_says_so(ring: list[list[float]]) -> None:
    import numpy as np
    import shapely

    closed = [position[:2] for position in [*ring, ring[0]]]
    with np.errstate(all="ignore"):
        valid = bool(shapely.is_valid(shapely.Polygon(closed)))
    assert (told(shape("Polygon", [closed])) == []) == valid
