"""Check GeoJSON in the order and with the messages of App Engine."""

from __future__ import annotations

import json
from typing import Any

from localrun.descriptor.types import Notes, geojson, validity
from localrun.server.appengine.provisioning.invalid_value import WRONG_TYPE, InvalidValue, wrong_collection

_COLLECTIONS = {"FeatureCollection": "features", "GeometryCollection": "geometries"}
_UNREADABLE = "failed to parse the given GeoJSON object"
_INVALID = "invalid GeoJSON object"


def check_geometry(value: Any) -> None:
    """Raise `InvalidValue` unless `value` is a string with one geometry, bare or in a Feature."""
    if not isinstance(value, str):
        raise InvalidValue(WRONG_TYPE)
    data = _load(value)
    if not isinstance(data, dict):
        raise InvalidValue(_UNREADABLE)
    if _members(data) is not None:
        raise InvalidValue("unsupported geometry type")
    properties = data.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise InvalidValue(_UNREADABLE)
    notes = Notes("")
    found = geojson.check({**data, "properties": None}, notes)  # App Engine checks the properties last
    if found is None:
        raise InvalidValue(_UNREADABLE)
    validity.check(found, notes)
    if notes.problems:
        raise InvalidValue(_INVALID)
    if properties:
        _check_subtype(properties)


def split_collection(value: str) -> list[str]:
    """Return the geometries of a GeoJSON collection, as the values of the items of an array.

    Raises `InvalidValue` for anything but a FeatureCollection or a GeometryCollection.
    """
    data = _load(value)
    members = _members(data) if isinstance(data, dict) else None
    if members is None:
        raise wrong_collection() if data is None else InvalidValue(_INVALID)
    return [json.dumps(member, separators=(",", ":")) for member in members]


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(name: str) -> None:
    raise ValueError(name)


def _members(data: dict[str, Any]) -> list[Any] | None:
    """Return the parts of a GeoJSON collection; None if it is not one."""
    kind = data.get("type")
    found = data.get(_COLLECTIONS[kind]) if isinstance(kind, str) and kind in _COLLECTIONS else None
    return found if isinstance(found, list) else None


def _check_subtype(properties: dict[str, Any]) -> None:
    if "subType" not in properties:
        raise InvalidValue("unsupported GeoJSON subtype")
    if properties["subType"] not in ("Circle", "Rectangle"):
        raise InvalidValue("unsupported geometry subtype")
    if properties["subType"] == "Circle" and "radius" not in properties:
        raise InvalidValue("missing radius parameter")
