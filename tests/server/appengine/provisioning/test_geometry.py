"""GeoJSON is refused in App Engine's order and with its messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localrun.server.appengine.provisioning.geometry import check_geometry
from localrun.server.appengine.provisioning.invalid_value import InvalidValue

RING = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
BOW = [[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]
POINT: dict[str, Any] = {"type": "Point", "coordinates": [1, 2]}
UNREADABLE = "failed to parse the given GeoJSON object"


def feature(geometry: Any = POINT, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@pytest.mark.parametrize(
    "value",
    [
        POINT,
        {"type": "Polygon", "coordinates": [RING]},
        {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
        {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
        {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]]]},
        {"type": "MultiPolygon", "coordinates": [[RING]]},
        feature(),
        {"type": "Feature", "geometry": POINT},
        feature(subType="Circle", radius=3),
        feature(subType="Circle", radius=None),
        feature(subType="Rectangle"),
    ],
)
def test_one_geometry_is_accepted(value: Any) -> None:
    check_geometry(json.dumps(value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (POINT, "invalid parameter type"),
        (None, "invalid parameter type"),
        ("", UNREADABLE),
        ("{", UNREADABLE),
        ("5", UNREADABLE),
        ("[" * 100_000, UNREADABLE),
        (json.dumps({"type": "Point"}), UNREADABLE),
        (json.dumps({"type": "Polygon", "coordinates": [RING[:-1]]}), UNREADABLE),
        (json.dumps({"type": "Cube", "coordinates": []}), UNREADABLE),
        (json.dumps({**feature(), "properties": 5}), UNREADABLE),
        ('{"type":"Point","coordinates":[NaN,2]}', UNREADABLE),
        (json.dumps({"type": "Polygon", "coordinates": [BOW]}), "invalid GeoJSON object"),
        (json.dumps(feature({"type": "Polygon", "coordinates": [BOW]}, a=1)), "invalid GeoJSON object"),
        (json.dumps({"type": "FeatureCollection", "features": [feature()]}), "unsupported geometry type"),
        (json.dumps({"type": "GeometryCollection", "geometries": [POINT]}), "unsupported geometry type"),
        (json.dumps(feature(a=1)), "unsupported GeoJSON subtype"),
        (json.dumps({**POINT, "properties": {"a": 1}}), "unsupported GeoJSON subtype"),
        (json.dumps(feature(subType="Ring")), "unsupported geometry subtype"),
        (json.dumps(feature(subType=["Circle"])), "unsupported geometry subtype"),
        (json.dumps(feature(subType="Circle")), "missing radius parameter"),
    ],
)
def test_the_first_broken_rule_gives_the_message(value: Any, message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_geometry(value)
    assert caught.value.message == message
