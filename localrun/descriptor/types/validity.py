"""Whether polygons are valid by the rules of OGC, and where they are not.

App Engine asks JTS; shapely is the same algorithm. It is imported when the first polygon is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from localrun.descriptor.types.base import Notes

_REMEDY = "correct it there, or repair it with shapely.make_valid"
_WORDS = {
    "Self-intersection": "it crosses or touches itself",
    "Ring Self-intersection": "a ring crosses or touches itself",
    "Hole lies outside shell": "a hole lies outside of its polygon",
    "Holes are nested": "a hole lies within another",
    "Nested holes": "a hole lies within another",
    "Nested shells": "a polygon lies within another",
    "Interior is disconnected": "its holes cut it into pieces",
    "Duplicate Rings": "two rings are the same",
    "Too few points in geometry component": "a ring has fewer than 3 different positions",
}


def check(geometry: dict[str, Any], notes: Notes) -> None:
    """Refuse polygons that are not valid; their structure has been checked."""
    if geometry["type"] == "Polygon":
        reason = _reason([geometry["coordinates"]])
    elif geometry["type"] == "MultiPolygon":
        reason = _reason(geometry["coordinates"])
    else:
        return
    if reason is not None:
        notes.error(f"is not valid: {_said(reason)}", _REMEDY)


def _reason(polygons: list[Any]) -> str | None:
    import numpy as np
    import shapely

    rings = [ring for polygon in polygons for ring in polygon]
    positions = [position[:2] for ring in rings for position in ring]
    made = shapely.from_ragged_array(
        shapely.GeometryType.MULTIPOLYGON,
        np.array(positions, dtype=float).reshape(-1, 2),
        (_offsets(rings), _offsets(polygons), np.array([0, len(polygons)])),
    )[0]
    # coordinates near the largest number overflow inside, which makes the geometry invalid, no more
    with np.errstate(all="ignore"):
        return None if shapely.is_valid(made) else str(shapely.is_valid_reason(made))


def _offsets(parts: Iterable[list[Any]]) -> Any:
    import numpy as np

    return np.cumsum([0, *(len(part) for part in parts)])


def _said(reason: str) -> str:
    found = re.fullmatch(r"([^\[]*)\[([^\]]*)\]", reason)
    if found is None:
        return reason
    return f"{_WORDS.get(found[1], found[1])} at [{', '.join(found[2].split())}]"
