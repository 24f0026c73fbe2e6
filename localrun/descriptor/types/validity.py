"""Check that polygons are valid by the OGC rules.

App Engine uses JTS; shapely has the same algorithm. It is imported when the first polygon is checked.
"""

from __future__ import annotations

import re
from typing import Any

from localrun.descriptor.types.base import Notes

_REMEDY = "correct the polygon at this position, or repair it with shapely.make_valid"
_MOST_OVERLAPS = 1e9  # takes about 10 seconds
_SAMPLE = 64
_WORDS = {
    "Self-intersection": "the polygon crosses or touches itself",
    "Ring Self-intersection": "a ring crosses or touches itself",
    "Hole lies outside shell": "a hole is outside its polygon",
    "Holes are nested": "a hole is inside another hole",
    "Nested holes": "a hole is inside another hole",
    "Nested shells": "a polygon is inside another one",
    "Interior is disconnected": "its holes split the polygon into pieces",
    "Duplicate Rings": "two rings are identical",
    "Too few points in geometry component": "a ring has fewer than 3 distinct positions",
}


def check(geometry: dict[str, Any], notes: Notes) -> None:
    """Report invalid polygons in a geometry of correct structure."""
    coordinates = geometry["coordinates"]
    polygons: list[Any] = {"Polygon": [coordinates], "MultiPolygon": coordinates}.get(geometry["type"], [])
    if (pairs := _overlaps(polygons)) > _MOST_OVERLAPS:
        message = (
            f"the polygon is too complex to check: about {pairs / 1e9:.0f} billion pairs of its edges overlap"
        )
        notes.error(message, "simplify it, e.g. with shapely.simplify")
        return
    reason = _reason(polygons) if polygons else None
    if reason is not None:
        notes.error(f"invalid geometry: {_describe(reason)}", _REMEDY)


def _overlaps(polygons: list[Any]) -> float:
    """Estimate the number of pairs of edges whose bounding boxes overlap, which the check compares.

    Ordinary polygons have a few pairs for each edge. Some edges of a large polygon are compared with all.
    """
    edges = sum(len(ring) for polygon in polygons for ring in polygon)
    if edges * edges <= _MOST_OVERLAPS:
        return 0.0
    import numpy as np

    rings = [ring for polygon in polygons for ring in polygon]
    ends = np.array([position[:2] for ring in rings for position in ring], dtype=float)
    low, high = np.minimum(ends[:-1], ends[1:]), np.maximum(ends[:-1], ends[1:])
    inside = np.ones(len(low), dtype=bool)
    inside[np.cumsum([len(ring) for ring in rings[:-1]], dtype=int) - 1] = False  # between two rings
    low, high = low[inside], high[inside]
    sample = np.random.default_rng(0).integers(0, len(low), _SAMPLE)
    found = [int(((low <= high[one]) & (high >= low[one])).all(axis=1).sum()) for one in sample]
    return sum(found) / len(found) * edges


def _reason(polygons: list[Any]) -> str | None:
    import numpy as np
    import shapely

    def ring(positions: list[Any]) -> Any:
        return shapely.linearrings(np.array([position[:2] for position in positions], dtype=float))

    made = [shapely.polygons(ring(outer), [*map(ring, holes)] or None) for outer, *holes in polygons]
    whole = made[0] if len(made) == 1 else shapely.multipolygons(made)
    # coordinates near the largest float overflow, which only makes the geometry invalid
    with np.errstate(all="ignore"):
        return None if shapely.is_valid(whole) else str(shapely.is_valid_reason(whole))


def _describe(reason: str) -> str:
    found = re.fullmatch(r"([^\[]*)\[([^\]]*)\]", reason)
    if found is None:
        return reason
    return f"{_WORDS.get(found[1], found[1])} at [{', '.join(found[2].split())}]"
