"""Geometries as shapes, whatever corner they begin with and however they are written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from localrun.descriptor.types import format_value
from localrun.values import FileValue
from localrun.values.compare.expected.difference import DiffImage, Findings
from localrun.values.compare.expected.tolerance import Tolerance

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_EQUAL = 1e-9  # of the extent: what the last digits of coordinates may differ by
_WANTED, _FOUND, _OPACITY = "#2a7f3f", "#c62828", 0.4


class _Shape(NamedTuple):
    geometry: BaseGeometry
    subtype: str | None  # Circle, Rectangle
    radius: float


def compare(want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    """Say how far apart two geometries are."""
    one, other = _read(want), _read(got)
    if one is None or other is None:
        what = want if one is None else got
        findings.add(f"cannot be compared: {format_value(str(what))} is no geometry")
        return
    if (one.geometry.geom_type, one.subtype) != (other.geometry.geom_type, other.subtype):
        findings.add(f"is a {_kind(other)}, and a {_kind(one)} is expected")
        return
    if not _radii_fit(one, other, tolerance):
        findings.add(f"has the radius {other.radius:g}, and {one.radius:g} is expected")
    message = _apart(one.geometry, other.geometry, tolerance)
    if message:
        findings.add(message, image=_sketch(one.geometry, other.geometry))


def _read(value: Any) -> _Shape | None:
    import shapely
    import shapely.geometry

    try:
        data = _object(value)
        inner = data["geometry"] if data.get("type") == "Feature" else data
        properties = data.get("properties") if data.get("type") == "Feature" else None
        told = properties if isinstance(properties, dict) else {}
        made = shapely.geometry.shape(inner)
        return _Shape(shapely.force_2d(made), told.get("subType"), float(told.get("radius") or 0.0))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, shapely.errors.ShapelyError):
        return None


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        text = value
    else:
        text = (value.path if isinstance(value, FileValue) else Path(value)).read_text("utf-8")
    data = json.loads(text)
    if not isinstance(data, dict):
        raise TypeError("no object")
    return data


def _kind(shape: _Shape) -> str:
    return shape.subtype or shape.geometry.geom_type


def _radii_fit(one: _Shape, other: _Shape, tolerance: Tolerance) -> bool:
    return math.isclose(one.radius, other.radius, rel_tol=_EQUAL, abs_tol=tolerance.distance or 0.0)


def _apart(want: BaseGeometry, got: BaseGeometry, tolerance: Tolerance) -> str:
    """In what two shapes differ by more than they may; empty: in nothing."""
    if _are_equal(want, got):
        return ""
    if want.is_empty or got.is_empty:
        return "is empty, and is not expected to be" if got.is_empty else "is not empty, as is expected"
    distance, overlap = want.hausdorff_distance(got), _overlap(want, got)
    common = "" if overlap is None else f" and have {100 * overlap:.4g} % of their area in common"
    told = f"the shapes are {distance:.4g} apart{common}"
    if tolerance.distance is None and tolerance.overlap is None:
        return f"differs: {told}"
    if tolerance.distance is not None and distance > tolerance.distance:
        return f"differs: {told}; a distance of {tolerance.distance:g} is allowed"
    if tolerance.overlap is not None and (overlap is None or overlap < tolerance.overlap):
        least = f"at least {100 * tolerance.overlap:g} % are expected"
        return f"differs: {told}; {least if overlap is not None else 'they have no area, of which ' + least}"
    return ""


def _are_equal(want: BaseGeometry, got: BaseGeometry) -> bool:
    bounds = [abs(place) for place in (*want.bounds, *got.bounds) if math.isfinite(place)]
    precision = _EQUAL * max(bounds, default=0.0)
    return want.normalize().equals_exact(got.normalize(), precision) or bool(want.equals(got))


def _overlap(want: BaseGeometry, got: BaseGeometry) -> float | None:
    whole = want.union(got).area
    return want.intersection(got).area / whole if whole else None


def _sketch(want: BaseGeometry, got: BaseGeometry) -> DiffImage:
    """Both outlines in one picture: what is expected in green, what was found in red."""
    left, top, right, bottom = want.union(got).bounds
    extent = max(right - left, bottom - top) or 1.0
    margin = 0.05 * extent
    box = (left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin)
    line = extent / 600  # shapely makes strokes of twice this width
    # App Engine counts y upwards, a picture downwards
    flip = f"matrix(1,0,0,-1,0,{top + bottom:.6f})"
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{" ".join(f"{part:.6f}" for part in box)}"'
        f' width="800"><title>green: expected; red: found</title><g transform="{flip}">'
        f"{_drawn(want, line, _WANTED)}{_drawn(got, line, _FOUND)}</g></svg>"
    )
    return DiffImage(".svg", text.encode())


def _drawn(shape: Any, line: float, colour: str) -> str:
    return str(shape.svg(line, colour, _OPACITY))
