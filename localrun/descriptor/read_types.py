"""Read the type of a parameter, in its short form (`type: integer`) or its long one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localrun.descriptor.node import DescriptorNode
from localrun.descriptor.types import (
    TYPES,
    Array,
    Boolean,
    DataType,
    DateTime,
    Enumeration,
    File,
    Geometry,
    Image,
    Integer,
    Number,
    String,
    format_value,
    memory,
)
from localrun.descriptor.types.datetime import parse_instant
from localrun.descriptor.types.files import FILE_FORMATS, IMAGE_FORMATS
from localrun.suggestions import did_you_mean

_BOUNDS = ("gt", "lt", "geq", "leq")
# what other languages call the types
_ALIASES = {
    "int": "integer",
    "float": "number",
    "double": "number",
    "str": "string",
    "text": "string",
    "bool": "boolean",
    "enum": "enumeration",
    "date": "datetime",
    "list": "array",
    "geojson": "geometry",
}
_EXAMPLES = {
    "enumeration": "write type: {id: enumeration, values: [a, b]}",
    "array": "write type: {id: array, subtype: integer}",
}


def read_type(place: DescriptorNode, *, output: bool) -> DataType | None:
    """The type at a place; None when it is unfit, which the report then says."""
    if isinstance(place.value, dict):
        return _long(place, output)
    name = place.string()
    if name is None:
        return None
    if name in _EXAMPLES:
        place.error(f"{name} needs more than its name", _EXAMPLES[name])
        return None
    return TYPES[name]() if _is_known(place, name) else None


def _is_known(place: DescriptorNode, name: str) -> bool:
    if name in TYPES:
        return True
    alias = _ALIASES.get(name.lower())
    guess = f"did you mean {alias!r}?" if alias else did_you_mean(name, TYPES)
    place.error(f"unknown type {format_value(name)}", guess or f"write one of: {', '.join(TYPES)}")
    return False


def _long(place: DescriptorNode, output: bool) -> DataType | None:
    id_place = place.require("id")
    name = id_place.string() if id_place else None
    if id_place is None or name is None or not _is_known(id_place, name):
        return None
    return _array(place, output) if name == "array" else _READERS[name](place)


def _fields(place: DescriptorNode, getters: dict[str, Callable[[DescriptorNode], Any]]) -> dict[str, Any]:
    """What stands at some keys; what is absent or unfit is left out."""
    place.check_mapping({"id", *getters})
    found = {key: (inner, getter) for key, getter in getters.items() if (inner := place.get(key))}
    values = {key: getter(inner) for key, (inner, getter) in found.items()}
    return {key: value for key, value in values.items() if value is not None}


def _boolean(place: DescriptorNode) -> DataType:
    _fields(place, {})
    return Boolean()


def _geometry(place: DescriptorNode) -> DataType:
    _fields(place, {})
    return Geometry()


def _integer(place: DescriptorNode) -> DataType:
    found = _fields(place, dict.fromkeys(_BOUNDS, DescriptorNode.integer))
    _check_bounds(place, found, step=1)
    return Integer(**found)


def _number(place: DescriptorNode) -> DataType:
    flags = dict.fromkeys(("infinity_allowed", "nan_allowed"), DescriptorNode.boolean)
    found = _fields(place, {**dict.fromkeys(_BOUNDS, DescriptorNode.number), **flags})
    _check_bounds(place, found, step=0)
    return Number(**found)


def _check_bounds(place: DescriptorNode, found: dict[str, Any], step: int) -> None:
    for strict, loose in (("gt", "geq"), ("lt", "leq")):
        if strict in found and loose in found:
            place.warn(f"{strict} and {loose} exclude each other; both are checked", "keep one")
    lower = [found[key] + more for key, more in (("gt", step), ("geq", 0)) if key in found]
    upper = [found[key] - more for key, more in (("lt", step), ("leq", 0)) if key in found]
    # of two strict bounds of a number, equal ones leave nothing between them either
    empty = bool(lower and upper) and max(lower) > min(upper)
    strict_at = {found.get("gt"), found.get("lt")} - {None}
    if empty or (lower and upper and max(lower) == min(upper) and not step and max(lower) in strict_at):
        place.warn("no value can fit these bounds", "correct them")


def _string(place: DescriptorNode) -> DataType:
    found = _fields(place, dict.fromkeys(("min_length", "max_length"), DescriptorNode.integer))
    _check_order(place, found, "min_length", "max_length")
    return String(**found)


def _check_order(place: DescriptorNode, found: dict[str, Any], low: str, high: str) -> None:
    if found.get(high, 0) < 0 or (high in found and found.get(low, 0) > found[high]):
        place.warn(f"no value can fit: {low} {found.get(low, 0)}, {high} {found[high]}", "correct them")


def _enumeration(place: DescriptorNode) -> DataType | None:
    place.check_mapping({"id", "values"})
    values = place.require("values", ("id",))
    if values is None:
        return None
    found = [read_enumeration_value(item) for item in values.items(least=1)]
    return Enumeration(tuple(value for value in found if value is not None))


def read_enumeration_value(place: DescriptorNode) -> str | None:
    """One value of an enumeration."""
    found = place.match_string(r"[^\r\n]*", "holds a line break", "write it on one line")
    if found is not None and not 1 <= len(found) <= 256:
        place.error(f"has {len(found)} characters", "write 1 to 256 characters")
    return found


def _datetime(place: DescriptorNode) -> DataType:
    found = _fields(place, dict.fromkeys(("before", "after"), read_datetime))
    if found:
        place.warn_divergence("datetime_range")
    return DateTime(**found)


def read_datetime(place: DescriptorNode) -> str | None:
    """A datetime with a zone."""
    found = place.string()
    if found is None or parse_instant(found):
        return found
    place.error(f"{format_value(found)} is no datetime with a zone", "write it as 2024-02-23T18:00:00Z")
    return None


def _file(place: DescriptorNode) -> DataType:
    return File(**_fields(place, {"max_file_size": _file_size, "formats": _formats(FILE_FORMATS)}))


def _image(place: DescriptorNode) -> DataType:
    sizes = dict.fromkeys(("max_width", "max_height"), DescriptorNode.integer)
    return Image(**_fields(place, {"max_file_size": _file_size, "formats": _formats(IMAGE_FORMATS), **sizes}))


def _formats(known: tuple[str, ...]) -> Callable[[DescriptorNode], tuple[str, ...]]:
    def read(place: DescriptorNode) -> tuple[str, ...]:
        return tuple(filter(None, (one(item) for item in place.items(least=1))))

    def one(item: DescriptorNode) -> str | None:
        found = item.string()
        if found is not None and found not in known:
            item.error(
                f"unknown format {format_value(found)}",
                did_you_mean(found, known) or f"write one of: {', '.join(known)}",
            )
        return found

    return read


def _file_size(place: DescriptorNode) -> int | None:
    text = place.string()
    found = memory.parse(text) if text is not None else None
    if text is not None and found is None:
        place.error(f"{format_value(text)} is no size", "write for example 10MB or 2GiB")
    if found is None:
        return None
    if not found.prefix:
        place.warn_divergence("file_size_bare")
    elif not found.has_unit:
        place.warn_divergence("file_size_unit")
    return found.bytes


def _array(place: DescriptorNode, output: bool) -> DataType | None:
    place.check_mapping({"id", "subtype", "min_size", "max_size"})
    subtype_place = place.require("subtype", ("id", "min_size", "max_size"))
    subtype = read_type(subtype_place, output=output) if subtype_place else None
    sizes = {key: inner.integer() for key in ("min_size", "max_size") if (inner := place.get(key))}
    found = {key: value for key, value in sizes.items() if value is not None}
    _check_order(place, found, "min_size", "max_size")
    if subtype is None or subtype_place is None:
        return None
    _check_items(subtype_place, subtype, found, output)
    return Array(subtype, **found)


def _check_items(place: DescriptorNode, subtype: DataType, sizes: dict[str, int], output: bool) -> None:
    if output and isinstance(subtype, DateTime):
        place.warn_divergence("array_datetime")
    if not isinstance(subtype, Array):
        return
    if subtype.min_size is None or subtype.max_size is None:
        place.warn_divergence("array_nested_sizes")
    if output and sizes.get("min_size", 0) >= 1 and "max_size" in sizes:
        place.warn_divergence("array_nested_output")


_READERS: dict[str, Callable[[DescriptorNode], DataType | None]] = {
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "string": _string,
    "enumeration": _enumeration,
    "datetime": _datetime,
    "geometry": _geometry,
    "file": _file,
    "image": _image,
}
