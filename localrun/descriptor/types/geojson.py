"""Check the structure of GeoJSON (RFC 7946) without geometric computations.

As in App Engine, a value is one geometry of six types, bare or in a Feature.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from localrun.descriptor.types.base import Notes, format_value, type_mismatch
from localrun.suggestions import did_you_mean
from localrun.units import format_count

# levels of lists around a position
NESTING = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
_COLLECTIONS = ("FeatureCollection", "GeometryCollection")
_SUBTYPES = ("Circle", "Rectangle")
_MAX_PROBLEMS = 20  # reported per geometry
_LEVELS = ("position", "list of positions", "list of rings or lines", "list of polygons")
_MAX_COSINE = 1e-6  # of a right angle

Path = tuple[int, ...]


def check(value: Any, notes: Notes) -> dict[str, Any] | None:
    """Check a GeoJSON value; return the bare geometry in it, or None if it is invalid."""
    before = len(notes.problems)
    is_feature = isinstance(value, dict) and value.get("type") == "Feature"
    found = _feature(value, notes) if is_feature else _geometry(value, notes)
    return found if len(notes.problems) == before else None


def _feature(value: dict[str, Any], notes: Notes) -> dict[str, Any] | None:
    inner = value.get("geometry")
    if inner is None:
        notes.error("the Feature has no geometry", "add 'geometry'")
        return None
    found = _geometry(inner, notes.child("geometry"))
    properties = value.get("properties")
    if properties is not None and not isinstance(properties, dict):
        notes.child("properties").error(type_mismatch(properties, "an object"), "use an object or null")
    elif properties:
        _properties(properties, found, notes.child("properties"))
    return found


def _properties(properties: dict[str, Any], geometry: dict[str, Any] | None, notes: Notes) -> None:
    if "subType" not in properties:
        notes.warn_divergence("geometry_properties")
        return
    subtype = properties["subType"]
    if subtype not in _SUBTYPES:
        guess = did_you_mean(subtype, _SUBTYPES) if isinstance(subtype, str) else ""
        message = f"unknown subtype {format_value(subtype)}"
        notes.child("subType").error(message, guess or "expected Circle or Rectangle")
        return
    if subtype == "Circle":
        _radius(properties, notes)
    if geometry is not None and not _has_shape(subtype, geometry):
        notes.warn_divergence("geometry_shape")


def _radius(properties: dict[str, Any], notes: Notes) -> None:
    radius = properties.get("radius")
    if radius is None:
        notes.error("the Circle has no radius", "add 'radius' with a number greater than 0")
    elif not _is_number(radius) or radius <= 0:
        notes.child("radius").error(f"invalid radius {format_value(radius)}", "use a number greater than 0")


def _has_shape(subtype: str, geometry: dict[str, Any]) -> bool:
    if subtype == "Circle":
        return bool(geometry["type"] == "Point")
    rings = geometry["coordinates"]
    return geometry["type"] == "Polygon" and len(rings) == 1 and len(rings[0]) == 5 and _is_square(rings[0])


def _is_square(ring: list[Any]) -> bool:
    """Return whether all angles are right angles."""
    corners = [*ring, ring[1]]
    for (x1, y1, *_), (x2, y2, *_), (x3, y3, *_) in zip(corners, corners[1:], corners[2:], strict=False):
        ax, ay, bx, by = x2 - x1, y2 - y1, x3 - x2, y3 - y2
        if abs(ax * bx + ay * by) > _MAX_COSINE * math.hypot(ax, ay) * math.hypot(bx, by):
            return False
    return True


def _geometry(value: Any, notes: Notes) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        notes.error(type_mismatch(value, "a GeoJSON object"), "pass a GeoJSON object")
        return None
    name = value.get("type")
    if not isinstance(name, str) or name not in NESTING:
        notes.error(*_unknown(name))
        return None
    if "coordinates" not in value:
        notes.error(f"the {name} has no coordinates", "add 'coordinates'")
        return None
    for path, message, remedy in islice(_coordinates(name, value["coordinates"]), _MAX_PROBLEMS):
        notes.child(".".join(map(str, ("coordinates", *path)))).error(message, remedy)
    return value


def _unknown(name: Any) -> tuple[str, str]:
    allowed = f"expected one of: {', '.join(NESTING)}"
    if name is None:
        return "missing type", allowed
    if name in _COLLECTIONS:
        return f"App Engine does not accept a {name}", "use a single geometry, or an array of geometries"
    if name == "Feature":
        return "a Feature cannot contain a Feature", "use the geometry itself"
    guess = did_you_mean(name, [*NESTING, "Feature"]) if isinstance(name, str) else ""
    return f"unknown type {format_value(name)}", guess or allowed


Found = Iterator[tuple[Path, str, str]]  # path, message, remedy


def _coordinates(name: str, value: Any) -> Found:
    level = NESTING[name]
    if value == [] and name.startswith("Multi"):
        return  # an empty multi-part geometry is allowed
    depth = _depth(value)
    if depth not in (-1, level + 1):
        start = "[" * min(depth, 8) if depth else format_value(value)
        message = f"the coordinates of a {name} must start with {'[' * (level + 1)}, not with {start}"
        yield (), message, "correct the nesting"
        return
    bad = False
    for problem in _nested(value, level, ()):
        bad = True
        yield problem
    if bad or name in ("Point", "MultiPoint"):
        return
    for path, line in _lines(value, level, ()):
        yield from _ring(line, path) if name.endswith("Polygon") else _line(line, path)


def _depth(value: Any) -> int:
    """Return the number of lists around the first number, or -1 without a number."""
    depth = 0
    while type(value) is list and value:
        value, depth = value[0], depth + 1
    return depth if _is_number(value) else -1


def _nested(value: Any, level: int, path: Path) -> Found:
    if level == 0:
        yield from _position(value, path)
        return
    if type(value) is not list:
        yield path, type_mismatch(value, f"a {_LEVELS[level]}"), "put it in [ ]"
        return
    if not value:
        yield path, f"empty {_LEVELS[level]}", "fill or remove it"
    for index, item in enumerate(value):
        # a fast path for the usual case, which dominates the time of a large geometry
        if level == 1 and type(item) is list and len(item) == 2 and type(item[0]) is type(item[1]) is float:
            continue
        yield from _nested(item, level - 1, (*path, index))


def _position(value: Any, path: Path) -> Found:
    if type(value) is not list:
        yield path, type_mismatch(value, "a position"), "write [x, y]"
    elif len(value) < 2:
        numbers = format_count(len(value), "number")
        yield path, f"a position has {numbers}, expected at least 2", "write [x, y]"
    else:
        for index, number in enumerate(value):
            if not _is_number(number):
                yield (*path, index), f"invalid coordinate {format_value(number)}", "use a finite number"


def _is_number(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is int and value.bit_length() < 1024


def _lines(value: list[Any], level: int, path: Path) -> Iterator[tuple[Path, list[Any]]]:
    if level == 1:
        yield path, value
        return
    for index, item in enumerate(value):
        yield from _lines(item, level - 1, (*path, index))


def _line(line: list[Any], path: Path) -> Found:
    if len(line) < 2:
        yield path, "a line has 1 position, expected at least 2", "add positions"
    elif all(position[:2] == line[0][:2] for position in line):
        yield path, f"all positions of the line are {line[0][:2]}", "add a different position"


def _ring(ring: list[Any], path: Path) -> Found:
    if ring[0] != ring[-1]:
        first, last = format_value(ring[0]), format_value(ring[-1])
        yield path, f"the ring is not closed: it starts at {first} and ends at {last}", f"append {first}"
    elif len(ring) < 4:
        yield path, f"a ring has {format_count(len(ring), 'position')}, expected at least 4", "add positions"


def has_extra_numbers(geometry: dict[str, Any]) -> bool:
    """Return whether a position of a valid geometry has more than three numbers."""
    level = NESTING[geometry["type"]]
    value = geometry["coordinates"]
    if level == 0:
        return len(value) > 3
    return any(len(position) > 3 for _, line in _lines(value, level, ()) for position in line)
