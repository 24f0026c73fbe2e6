"""What is wrong with a GeoJSON value (RFC 7946), as far as it shows without computing.

Allowed is what App Engine allows: one geometry of six kinds, bare or in a Feature. No library is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from localrun.descriptor.types.base import Notes, describe_type, format_value, type_mismatch
from localrun.suggestions import did_you_mean

# how many lists there are around a position
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
_MOST = 20  # problems told of one geometry
_LEVELS = ("position", "list of positions", "list of rings or lines", "list of polygons")
_SQUARE = 1e-6  # how far from zero the cosine of a right angle may be

Path = tuple[int, ...]


def check(value: Any, notes: Notes) -> dict[str, Any] | None:
    """Check the structure of a GeoJSON value; the bare geometry in it, None when it is unfit."""
    before = len(notes.problems)
    found = _feature(value, notes) if _type_of(value) == "Feature" else _geometry(value, notes)
    return found if len(notes.problems) == before else None


def _type_of(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else None


def _feature(value: dict[str, Any], notes: Notes) -> dict[str, Any] | None:
    inner = value.get("geometry")
    if inner is None:
        notes.error("is a Feature without a geometry", "give it a geometry")
        return None
    found = _geometry(inner, notes.child("geometry"))
    properties = value.get("properties")
    if properties is not None and not isinstance(properties, dict):
        notes.child("properties").error(
            f"are {describe_type(properties)}, not an object", "write an object or null"
        )
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
        notes.child("subType").error(
            f"unknown subtype {format_value(subtype)}", guess or "write Circle or Rectangle"
        )
        return
    if subtype == "Circle":
        _radius(properties, notes)
    if geometry is not None and not _has_shape(subtype, geometry):
        notes.warn_divergence("geometry_shape")


def _radius(properties: dict[str, Any], notes: Notes) -> None:
    radius = properties.get("radius")
    if radius is None:
        notes.error("of a Circle have no radius", "add radius: a number greater than 0")
    elif not _is_number(radius) or radius <= 0:
        notes.child("radius").error(f"{format_value(radius)} is no radius", "write a number greater than 0")


def _has_shape(subtype: str, geometry: dict[str, Any]) -> bool:
    if subtype == "Circle":
        return bool(geometry["type"] == "Point")
    rings = geometry["coordinates"]
    return geometry["type"] == "Polygon" and len(rings) == 1 and len(rings[0]) == 5 and _is_square(rings[0])


def _is_square(ring: list[Any]) -> bool:
    """Whether all angles are right ones."""
    corners = [*ring, ring[1]]
    for (x1, y1, *_), (x2, y2, *_), (x3, y3, *_) in zip(corners, corners[1:], corners[2:], strict=False):
        ax, ay, bx, by = x2 - x1, y2 - y1, x3 - x2, y3 - y2
        if abs(ax * bx + ay * by) > _SQUARE * math.hypot(ax, ay) * math.hypot(bx, by):
            return False
    return True


def _geometry(value: Any, notes: Notes) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        notes.error(type_mismatch(value, "a GeoJSON object"), "give a GeoJSON object")
        return None
    name = value.get("type")
    if not isinstance(name, str) or name not in NESTING:
        notes.error(*_unknown(name))
        return None
    if "coordinates" not in value:
        notes.error(f"is a {name} without coordinates", "add them")
        return None
    for problems, (path, message, remedy) in enumerate(_coordinates(name, value["coordinates"])):
        _at(notes.child("coordinates"), path).error(message, remedy)
        if problems + 1 == _MOST:
            break
    return value


def _unknown(name: Any) -> tuple[str, str]:
    allowed = f"write one of: {', '.join(NESTING)}"
    if name is None:
        return "has no type", allowed
    if name in _COLLECTIONS:
        return f"is a {name}, which App Engine does not take", "give one geometry, or use an array of them"
    if name == "Feature":
        return "is a Feature in a Feature", "give the geometry itself"
    guess = did_you_mean(name, [*NESTING, "Feature"]) if isinstance(name, str) else ""
    return f"unknown type {format_value(name)}", guess or allowed


def _at(notes: Notes, path: Path) -> Notes:
    for index in path:
        notes = notes.child(index)
    return notes


Found = Iterator[tuple[Path, str, str]]  # where, what is wrong, the remedy


def _coordinates(name: str, value: Any) -> Found:
    level = NESTING[name]
    if value == [] and name.startswith("Multi"):
        return  # a geometry without parts is allowed
    if _is_off(value, level):
        wanted = "[" * (level + 1)
        yield (), f"those of a {name} begin with {wanted}, not with {_begin(value)}", "correct the nesting"
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
    """How many lists there are around the first number; -1 when there is none."""
    depth = 0
    while type(value) is list and value:
        value, depth = value[0], depth + 1
    return depth if _is_number(value) else -1


def _is_off(value: Any, level: int) -> bool:
    return _depth(value) not in (-1, level + 1)


def _begin(value: Any) -> str:
    depth = _depth(value)
    return "[" * min(depth, 8) if depth else format_value(value)


def _nested(value: Any, level: int, path: Path) -> Found:
    if level == 0:
        yield from _position(value, path)
        return
    if type(value) is not list:
        yield path, type_mismatch(value, f"a {_LEVELS[level]}"), "put it into [ ]"
        return
    if not value:
        yield path, f"is an empty {_LEVELS[level]}", "leave it out, or fill it"
    for index, item in enumerate(value):
        # the usual case, spelled out: it is most of the time that a large geometry takes
        if level == 1 and type(item) is list and len(item) == 2 and type(item[0]) is type(item[1]) is float:
            continue
        yield from _nested(item, level - 1, (*path, index))


def _position(value: Any, path: Path) -> Found:
    if type(value) is not list:
        yield path, type_mismatch(value, "a position"), "write [x, y]"
    elif len(value) < 2:
        yield path, f"a position has 2 numbers or more, not {len(value)}", "write [x, y]"
    else:
        for index, number in enumerate(value):
            if not _is_number(number):
                yield (*path, index), f"{format_value(number)} is no finite number", "write a number"


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
        yield path, "a line has 2 positions or more, not 1", "add positions"
    elif all(position[:2] == line[0][:2] for position in line):
        yield path, f"all positions of the line are {line[0][:2]}", "add another position"


def _ring(ring: list[Any], path: Path) -> Found:
    if ring[0] != ring[-1]:
        yield (
            path,
            f"the ring is not closed: it begins at {format_value(ring[0])}"
            f" and ends at {format_value(ring[-1])}",
            f"add {format_value(ring[0])} at its end",
        )
    elif len(ring) < 4:
        yield path, f"a ring has 4 positions or more, not {len(ring)}", "add positions"


def has_extra_numbers(geometry: dict[str, Any]) -> bool:
    """Whether a position of a checked geometry has more than three numbers."""
    level = NESTING[geometry["type"]]
    value = geometry["coordinates"]
    if level == 0:
        return len(value) > 3
    return any(len(position) > 3 for _, line in _lines(value, level, ()) for position in line)
