"""Compare geometries as shapes, whatever their first corner and their format."""

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

_EQUAL = 1e-9  # of the extent: allows for rounding of coordinates
_EXPECTED, _ACTUAL, _OPACITY = "#2a7f3f", "#c62828", 0.4


class _Shape(NamedTuple):
    geometry: BaseGeometry
    subtype: str | None  # Circle, Rectangle
    radius: float


def compare(want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    one, other = _read(want), _read(got)
    if one is None or other is None:
        invalid = want if one is None else got
        findings.add(f"cannot compare: invalid geometry {format_value(str(invalid))}")
        return
    if (one.geometry.geom_type, one.subtype) != (other.geometry.geom_type, other.subtype):
        findings.add(f"expected a {_kind(one)}, got a {_kind(other)}")
        return
    if not _have_close_radii(one, other, tolerance):
        findings.add(f"expected radius {one.radius:g}, got {other.radius:g}")
    message = _difference(one.geometry, other.geometry, tolerance)
    if message:
        findings.add(message, image=_draw(one.geometry, other.geometry))


def _read(value: Any) -> _Shape | None:
    import shapely
    import shapely.geometry

    try:
        data = _object(value)
        inner = data["geometry"] if data.get("type") == "Feature" else data
        properties = data.get("properties") if data.get("type") == "Feature" else None
        known = properties if isinstance(properties, dict) else {}
        geometry = shapely.force_2d(shapely.geometry.shape(inner))
        return _Shape(geometry, known.get("subType"), float(known.get("radius") or 0.0))
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        shapely.errors.ShapelyError,
    ):
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
        raise TypeError("not an object")
    return data


def _kind(shape: _Shape) -> str:
    return shape.subtype or shape.geometry.geom_type


def _have_close_radii(one: _Shape, other: _Shape, tolerance: Tolerance) -> bool:
    return math.isclose(one.radius, other.radius, rel_tol=_EQUAL, abs_tol=tolerance.distance or 0.0)


def _difference(want: BaseGeometry, got: BaseGeometry, tolerance: Tolerance) -> str:
    """Return how two shapes differ by more than the tolerance; empty if they do not."""
    if _are_equal(want, got):
        return ""
    if want.is_empty or got.is_empty:
        return "unexpected empty geometry" if got.is_empty else "expected an empty geometry"
    distance, overlap = want.hausdorff_distance(got), _overlap(want, got)
    common = "" if overlap is None else f" and share {100 * overlap:.4g} % of their area"
    message = f"the shapes are {distance:.4g} apart{common}"
    if tolerance.distance is None and tolerance.overlap is None:
        return message
    if tolerance.distance is not None and distance > tolerance.distance:
        return f"{message}; tolerance: distance {tolerance.distance:g}"
    if tolerance.overlap is not None and (overlap is None or overlap < tolerance.overlap):
        no_area = "" if overlap is not None else " (they have no area)"
        return f"{message}; expected at least {100 * tolerance.overlap:g} %{no_area}"
    return ""


def _are_equal(want: BaseGeometry, got: BaseGeometry) -> bool:
    bounds = [abs(place) for place in (*want.bounds, *got.bounds) if math.isfinite(place)]
    precision = _EQUAL * max(bounds, default=0.0)
    return want.normalize().equals_exact(got.normalize(), precision) or bool(want.equals(got))


def _overlap(want: BaseGeometry, got: BaseGeometry) -> float | None:
    whole = want.union(got).area
    return want.intersection(got).area / whole if whole else None


def _draw(want: BaseGeometry, got: BaseGeometry) -> DiffImage:
    """Draw both shapes: expected in green, actual in red."""
    left, top, right, bottom = want.union(got).bounds
    extent = max(right - left, bottom - top) or 1.0
    margin = 0.05 * extent
    box = (left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin)
    line = extent / 600  # shapely draws strokes of twice this width
    # the y axis of App Engine points up, that of SVG down
    flip = f"matrix(1,0,0,-1,0,{top + bottom:.6f})"
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{" ".join(f"{part:.6f}" for part in box)}"'
        f' width="800"><title>green: expected; red: actual</title><g transform="{flip}">'
        f"{_to_svg(want, line, _EXPECTED)}{_to_svg(got, line, _ACTUAL)}</g></svg>"
    )
    return DiffImage(".svg", text.encode())


def _to_svg(shape: Any, line: float, color: str) -> str:
    return str(shape.svg(line, color, _OPACITY))
