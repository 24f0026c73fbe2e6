"""Parameters and their types as JSON-ready fields, and their constraints as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import fields

from localrun.descriptor.model import Parameter
from localrun.descriptor.types import DataType
from localrun.units import format_bytes


def parameter_fields(one: Parameter) -> dict[str, Any]:
    """Return a parameter as `localrun inspect --json` shows it."""
    return {
        "type": type_fields(one.type),
        "optional": one.optional,
        **({"default": one.default} if one.has_default else {}),
        "display_name": one.display_name,
        "description": one.description,
        **({"derived_from": one.derived_from} if one.derived_from else {}),
        **({"matching": list(one.matching)} if one.matching else {}),
    }


def type_fields(kind: DataType) -> dict[str, Any]:
    """Return the id of a type and its constraints that are set."""
    found: dict[str, Any] = {"id": kind.id}
    for field in fields(kind):
        value = getattr(kind, field.name)
        if field.name == "subtype":
            found["subtype"] = type_fields(value)
        elif value != field.default:
            found[field.name] = list(value) if isinstance(value, tuple) else value
    return found


def type_text(kind: DataType) -> str:
    """Return a type as `integer` or `array<array<number>>`."""
    subtype = getattr(kind, "subtype", None)
    return f"{kind.id}<{type_text(subtype)}>" if subtype is not None else kind.id


def constraints(kind: dict[str, Any]) -> Iterator[str]:
    """Yield the constraints of a type, such as `geq 0`, `values a|b` and `items geq 0`."""
    for name, value in kind.items():
        if name == "subtype":
            yield from (f"items {inner}" for inner in constraints(value))
        elif name == "max_file_size":
            yield f"{name} {format_bytes(value)}"
        elif name != "id":
            yield f"{name} {'|'.join(map(str, value)) if isinstance(value, list) else value}"
