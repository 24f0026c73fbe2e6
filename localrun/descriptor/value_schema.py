"""The JSON Schema (draft 2020-12) of the inputs object of a task, for forms and generators.

localrun's own validation is stricter: a file is checked when it is read, and some rules cannot be expressed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localrun.descriptor.model import Descriptor, Parameter
from localrun.descriptor.types import (
    Array,
    Boolean,
    DataType,
    DateTime,
    Enumeration,
    Geometry,
    Image,
    Integer,
    Number,
    String,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_MIN, _MAX = -(2**31), 2**31 - 1  # App Engine: 32 bits


def inputs_schema(descriptor: Descriptor) -> Schema:
    """Return the schema of the inputs of a task."""
    needed = [one.name for one in descriptor.inputs.values() if not one.optional and not one.has_default]
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {name: _parameter(one) for name, one in descriptor.inputs.items()},
        "required": needed,
        "additionalProperties": False,
    }


def _parameter(one: Parameter) -> Schema:
    found = {**_schema(one.type), "title": one.display_name or one.name}
    if one.description:
        found["description"] = one.description
    if one.has_default:
        found["default"] = one.default
    return found


def _schema(kind: DataType) -> Schema:
    if isinstance(kind, Array):
        sizes = {"minItems": kind.min_size, "maxItems": kind.max_size}
        return _without_none({"type": "array", "items": _schema(kind.subtype), **sizes})
    for known, make in _SCHEMAS:
        if isinstance(kind, known):
            return make(kind)
    return {"type": "string", "format": "localrun-file"}


def _integer(kind: Any) -> Schema:
    found = _range(kind)
    if "exclusiveMinimum" not in found:
        found.setdefault("minimum", _MIN)
    if "exclusiveMaximum" not in found:
        found.setdefault("maximum", _MAX)
    return {"type": "integer", **found}


def _number(kind: Any) -> Schema:
    words = ["nan", "inf", "-inf"]
    return {"anyOf": [{"type": "number", **_range(kind)}, {"enum": words}]}


def _range(kind: Any) -> Schema:
    bounds = {
        "minimum": kind.geq,
        "maximum": kind.leq,
        "exclusiveMinimum": kind.gt,
        "exclusiveMaximum": kind.lt,
    }
    return _without_none(bounds)


def _string(kind: Any) -> Schema:
    return _without_none(
        {"type": "string", "minLength": kind.min_length or None, "maxLength": kind.max_length}
    )


def _image(kind: Any) -> Schema:
    return {"type": "string", "format": "localrun-image"} | (
        {"contentMediaType": ", ".join(kind.formats)} if kind.formats else {}
    )


def _without_none(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if value is not None}


_SCHEMAS: tuple[tuple[type[DataType], Callable[[Any], Schema]], ...] = (
    (Integer, _integer),
    (Number, _number),
    (Boolean, lambda _: {"type": "boolean"}),
    (Enumeration, lambda kind: {"type": "string", "enum": list(kind.values)}),
    (String, _string),
    (DateTime, lambda _: {"type": "string", "format": "date-time"}),
    (Geometry, lambda _: {"type": ["object", "string"], "format": "geojson"}),
    (Image, _image),
)
