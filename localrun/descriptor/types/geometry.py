"""The type geometry: GeoJSON as an object or a string."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import msgspec

from localrun.descriptor.types import geojson, validity
from localrun.descriptor.types.base import DataType, Notes, check_encodable, format_value, type_mismatch

_EXAMPLE = "pass GeoJSON as an object, a string or a file, e.g. @cell.geojson"
_TOO_DEEP = "nested too deeply"


class Geometry(DataType, frozen=True):
    """A geometry, bare or in a Feature.

    App Engine allows Point, LineString, Polygon and their Multi forms. The properties of a Feature may have
    the `subType` Circle (with a `radius`) or Rectangle. Polygons must be valid. Coordinates are in pixels:
    the origin is the bottom left corner of the image, and y points up (`y = height - row`).
    """

    id: ClassVar[str] = "geometry"
    text_limit: ClassVar[int] = 64 * 1024**2

    def validate(self, value: Any, notes: Notes) -> Any:
        """Check an object, a string, or an object with a `__geo_interface__` (shapely)."""
        value = getattr(value, "__geo_interface__", value)
        if isinstance(value, str):
            return self.parse(value, notes)
        if not isinstance(value, dict):
            notes.error(type_mismatch(value, "a geometry"), _EXAMPLE)
            return None
        try:
            text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        except RecursionError:
            notes.error(_TOO_DEEP, _EXAMPLE)
            return None
        except (TypeError, ValueError) as error:
            notes.error(f"cannot write {format_value(value)} as JSON: {error}", _EXAMPLE)
            return None
        found = self._checked(text, value, notes)
        if found is not None:
            notes.warn_divergence("geometry_object")
        return found

    def parse(self, text: str, notes: Notes) -> Any:
        if not text.strip():
            notes.error("must not be blank", _EXAMPLE)
            return None
        return self._checked(text, text, notes) if check_encodable(text, notes) else None

    def _checked(self, text: str, value: Any, notes: Notes) -> Any:
        before = len(notes.problems)
        data = _read(text, notes)
        found = geojson.check(data, notes) if len(notes.problems) == before else None
        if found is None:
            return None
        if geojson.has_extra_numbers(found):
            notes.warn_divergence("geometry_places")
        validity.check(found, notes)
        return value if len(notes.problems) == before else None

    def to_text(self, value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _read(text: str, notes: Notes) -> Any:
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        notes.error(_TOO_DEEP, _EXAMPLE)
    except msgspec.ValidationError:
        notes.error(f"number too large in {format_value(text)}", "use smaller coordinates")
    except (msgspec.DecodeError, UnicodeError) as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        notes.error(f"invalid JSON {format_value(text)}: {reason}", _EXAMPLE)
    return None
