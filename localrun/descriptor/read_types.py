"""Read the type of a parameter, in its short form (`type: integer`) or its long form."""

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
# names of the types in other languages
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


def read_type(node: DescriptorNode, *, output: bool) -> DataType | None:
    """Return the type, or None if it is invalid."""
    if isinstance(node.value, dict):
        return _long(node, output)
    name = node.string()
    if name in _EXAMPLES:
        node.error(f"type {name!r} needs the long form", _EXAMPLES[name])
        return None
    return TYPES[name]() if name is not None and _is_known(node, name) else None


def _is_known(node: DescriptorNode, name: str) -> bool:
    if name in TYPES:
        return True
    alias = _ALIASES.get(name.lower())
    guess = f"did you mean {alias!r}?" if alias else did_you_mean(name, TYPES)
    node.error(f"unknown type {format_value(name)}", guess or f"expected one of: {', '.join(TYPES)}")
    return False


def _long(node: DescriptorNode, output: bool) -> DataType | None:
    id_node = node.require("id")
    name = id_node.string() if id_node else None
    if id_node is None or name is None or not _is_known(id_node, name):
        return None
    return _array(node, output) if name == "array" else _READERS[name](node)


def _fields(
    node: DescriptorNode, getters: dict[str, Callable[[DescriptorNode], Any]], *others: str
) -> dict[str, Any]:
    """Return the values of the given keys without the missing and invalid ones; `others` are allowed too."""
    node.check_mapping({"id", *others, *getters})
    found = {key: getter(inner) for key, getter in getters.items() if (inner := node.get(key))}
    return {key: value for key, value in found.items() if value is not None}


def _integer(node: DescriptorNode) -> DataType:
    found = _fields(node, dict.fromkeys(_BOUNDS, DescriptorNode.integer))
    _check_bounds(node, found, step=1)
    return Integer(**found)


def _number(node: DescriptorNode) -> DataType:
    flags = dict.fromkeys(("infinity_allowed", "nan_allowed"), DescriptorNode.boolean)
    found = _fields(node, {**dict.fromkeys(_BOUNDS, DescriptorNode.number), **flags})
    _check_bounds(node, found, step=0)
    return Number(**found)


def _check_bounds(node: DescriptorNode, found: dict[str, Any], step: int) -> None:
    for strict, loose in (("gt", "geq"), ("lt", "leq")):
        if strict in found and loose in found:
            node.warn(f"{strict} and {loose} exclude each other; both are checked", "keep one")
    lower = [found[key] + more for key, more in (("gt", step), ("geq", 0)) if key in found]
    upper = [found[key] - more for key, more in (("lt", step), ("leq", 0)) if key in found]
    # equal bounds of a number are empty, too, if one of them is strict
    empty = bool(lower and upper) and max(lower) > min(upper)
    strict_at = {found.get("gt"), found.get("lt")} - {None}
    if empty or (lower and upper and max(lower) == min(upper) and not step and max(lower) in strict_at):
        node.warn("no value satisfies these bounds", "correct them")


def _string(node: DescriptorNode) -> DataType:
    found = _fields(node, dict.fromkeys(("min_length", "max_length"), DescriptorNode.integer))
    _check_order(node, found, "min_length", "max_length")
    return String(**found)


def _check_order(node: DescriptorNode, found: dict[str, Any], low: str, high: str) -> None:
    if found.get(high, 0) < 0 or (high in found and found.get(low, 0) > found[high]):
        node.warn(f"no value satisfies {low} {found.get(low, 0)}, {high} {found[high]}", "correct them")


def _enumeration(node: DescriptorNode) -> DataType | None:
    node.check_mapping({"id", "values"})
    values = node.require("values", ("id",))
    if values is None:
        return None
    found = [read_enumeration_value(item) for item in values.items(least=1)]
    return Enumeration(tuple(value for value in found if value is not None))


def read_enumeration_value(node: DescriptorNode) -> str | None:
    found = node.match_string(r"[^\r\n]*", "value with a line break", "write it on one line")
    if found is not None and not 1 <= len(found) <= 256:
        node.error(f"has {len(found)} characters", "use 1 to 256 characters")
    return found


def _datetime(node: DescriptorNode) -> DataType:
    found = _fields(node, dict.fromkeys(("before", "after"), read_datetime))
    if found:
        node.warn_divergence("datetime_range")
    return DateTime(**found)


def read_datetime(node: DescriptorNode) -> str | None:
    """Read a datetime with a time zone."""
    found = node.string()
    if found is None or parse_instant(found):
        return found
    node.error(f"invalid datetime {format_value(found)}", "expected a time zone, e.g. 2024-02-23T18:00:00Z")
    return None


def _file(node: DescriptorNode) -> DataType:
    return File(**_fields(node, {"max_file_size": _file_size, "formats": _formats(FILE_FORMATS)}))


def _image(node: DescriptorNode) -> DataType:
    sizes = dict.fromkeys(("max_width", "max_height"), DescriptorNode.integer)
    return Image(**_fields(node, {"max_file_size": _file_size, "formats": _formats(IMAGE_FORMATS), **sizes}))


def _formats(known: tuple[str, ...]) -> Callable[[DescriptorNode], tuple[str, ...]]:
    def read(node: DescriptorNode) -> tuple[str, ...]:
        return tuple(filter(None, (one(item) for item in node.items(least=1))))

    def one(item: DescriptorNode) -> str | None:
        found = item.string()
        if found is not None and found not in known:
            remedy = did_you_mean(found, known) or f"expected one of: {', '.join(known)}"
            item.error(f"unknown format {format_value(found)}", remedy)
        return found

    return read


def _file_size(node: DescriptorNode) -> int | None:
    text = node.string()
    found = memory.parse(text) if text is not None else None
    if text is not None and found is None:
        node.error(f"invalid size {format_value(text)}", "expected e.g. 10MB or 2GiB")
    if found is None:
        return None
    if not found.prefix:
        node.warn_divergence("file_size_bare")
    elif found.unit not in memory.UNITS:
        node.warn_divergence("file_size_unit")
    return found.bytes


def _array(node: DescriptorNode, output: bool) -> DataType | None:
    found = _fields(node, dict.fromkeys(("min_size", "max_size"), DescriptorNode.integer), "subtype")
    subtype_node = node.require("subtype", ("id", "min_size", "max_size"))
    subtype = read_type(subtype_node, output=output) if subtype_node else None
    _check_order(node, found, "min_size", "max_size")
    if subtype is None or subtype_node is None:
        return None
    _check_items(subtype_node, subtype, found, output)
    return Array(subtype, **found)


def _check_items(node: DescriptorNode, subtype: DataType, sizes: dict[str, int], output: bool) -> None:
    if output and isinstance(subtype, DateTime):
        node.warn_divergence("array_datetime")
    if not isinstance(subtype, Array):
        return
    if subtype.min_size is None or subtype.max_size is None:
        node.warn_divergence("array_nested_sizes")
    if output and sizes.get("min_size", 0) >= 1 and "max_size" in sizes:
        node.warn_divergence("array_nested_output")


_READERS: dict[str, Callable[[DescriptorNode], DataType | None]] = {
    "boolean": lambda node: Boolean(**_fields(node, {})),
    "integer": _integer,
    "number": _number,
    "string": _string,
    "enumeration": _enumeration,
    "datetime": _datetime,
    "geometry": lambda node: Geometry(**_fields(node, {})),
    "file": _file,
    "image": _image,
}
