"""Read the inputs and outputs of a descriptor."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from localrun.descriptor.model import MISSING, Parameter
from localrun.descriptor.node import DescriptorNode
from localrun.descriptor.read_types import read_datetime, read_enumeration_value, read_type
from localrun.descriptor.types import (
    Array,
    Boolean,
    DataType,
    DateTime,
    Enumeration,
    Integer,
    Notes,
    Number,
    String,
    format_value,
    holds_files,
)

_COMMON = {"type", "description", "display_name", "optional", "dependencies"}

# how the schema checks a default; those of other types it does not look at
_DEFAULTS: dict[type[DataType], Callable[[DescriptorNode], Any]] = {
    Boolean: DescriptorNode.boolean,
    Integer: DescriptorNode.integer,
    Number: DescriptorNode.number,
    String: DescriptorNode.string,
    Enumeration: read_enumeration_value,
    DateTime: read_datetime,
}


def read_parameters(place: DescriptorNode | None, *, output: bool) -> dict[str, Parameter]:
    """Every parameter below `inputs` or `outputs` that is fit."""
    if place is None or not place.check_mapping():
        return {}
    found = {name: _parameter(inner, name, output) for name, inner in place.entries()}
    return {name: parameter for name, parameter in found.items() if parameter is not None}


def _parameter(place: DescriptorNode, name: str, output: bool) -> Parameter | None:
    if not re.fullmatch(r"[a-zA-Z0-9_]+", name, re.ASCII):
        place.error(f"{format_value(name)} is no name for a parameter", "use letters, digits and _ only")
    known = _COMMON if output else _COMMON | {"default"}
    if not place.check_mapping(known):
        return None
    type_place = place.require("type", known)
    found = read_type(type_place, output=output) if type_place else None
    fields = _texts(place, known) | _optional(place, output) | _dependencies(place, found, output)
    default = MISSING if output or found is None else _default(place, found)
    return None if found is None else Parameter(name=name, type=found, default=default, **fields)


def _texts(place: DescriptorNode, known: set[str]) -> dict[str, Any]:
    description = place.require("description", known)
    fields: dict[str, Any] = {"description": (description.string() if description else None) or ""}
    shown_name = place.get("display_name")
    if shown_name is None:
        place.warn_divergence("display_name", "display_name")
    elif shown_name.value == "":
        shown_name.error("is empty", "write a name for people")
    else:
        fields["display_name"] = shown_name.string() or ""
    return fields


def _optional(place: DescriptorNode, output: bool) -> dict[str, Any]:
    found = place.get("optional")
    value = found.boolean() if found else None
    if found is not None and value and output:
        found.warn_divergence("output_optional")
    return {"optional": bool(value)}


def _default(place: DescriptorNode, found: DataType) -> Any:
    inner = place.get("default")
    if inner is None:
        return MISSING
    getter = _DEFAULTS.get(type(found))
    value = getter(inner) if getter else inner.node.to_python()
    if getter and value is None:
        return MISSING
    _check_default(inner, found, value)
    return value


def _check_default(place: DescriptorNode, found: DataType, value: Any) -> None:
    # App Engine looks at no default, so an unfit one is no reason to refuse the bundle; taking it is
    if holds_files(found):
        place.warn("a file has no default; this one is ignored", "leave it out")
        return
    notes = Notes(place.path)
    found.validate(value, notes)
    for problem in notes.problems:
        place.warn(f"this default cannot be taken: {problem.message}", problem.remedy)


def _dependencies(place: DescriptorNode, found: DataType | None, output: bool) -> dict[str, Any]:
    inner = place.get("dependencies")
    # the schema knows the key only where it means something: of an output, or of an array
    is_known = output or found is None or isinstance(found, Array)
    if inner is not None and not is_known and not isinstance(inner.value, dict):
        inner.warn("is no mapping and is ignored", "leave it out")
        return {}
    if inner is None or not inner.check_mapping({"derived_from", "matching"}):
        return {}
    derived, matching = inner.get("derived_from"), inner.get("matching")
    if output and derived is None:
        inner.warn_divergence("derived_from")
    fields: dict[str, Any] = {}
    if derived is not None:
        fields["derived_from"] = _reference(derived)
        if output and fields["derived_from"] and len(fields["derived_from"]) < len("inputs/"):
            derived.warn_divergence("derived_from_short")
        elif output and not (fields["derived_from"] or "").startswith("inputs/"):
            derived.warn_divergence("derived_from_ignored")
    if matching is not None:
        fields["matching"] = _matching(matching)
    return fields


def _matching(place: DescriptorNode) -> tuple[str, ...]:
    if not isinstance(place.value, list):
        place.warn("is no list and is ignored", "write a list such as [inputs/a]")
        return ()
    return tuple(filter(None, (_reference(item) for item in place.items())))


def _reference(place: DescriptorNode) -> str | None:
    # the schema has a pattern for it at a place where no validator looks, so a wrong one is not refused
    if isinstance(place.value, str) and re.fullmatch(
        r"(inputs|outputs)(?:/[a-zA-Z0-9_]+)+", place.value, re.ASCII
    ):
        return place.value
    place.warn(
        f"{format_value(place.node.to_python())} refers to no parameter",
        "write inputs/<name> or outputs/<name>",
    )
    return place.value if isinstance(place.value, str) else None


def check_references(place: DescriptorNode, known: dict[str, DataType]) -> None:
    """Warn of references that name no parameter or no fit one; `known` holds `inputs/a`, `outputs/b`."""
    for section in ("inputs", "outputs"):
        inner = place.get(section)
        for name, parameter in inner.entries() if inner and isinstance(inner.value, dict) else ():
            _check_parameter(parameter, f"{section}/{name}", known)


def _check_parameter(place: DescriptorNode, own: str, known: dict[str, DataType]) -> None:
    dependencies = place.get("dependencies") if isinstance(place.value, dict) else None
    if dependencies is None or not isinstance(dependencies.value, dict):
        return
    derived, matching = dependencies.get("derived_from"), dependencies.get("matching")
    places = [derived] if derived else []
    if matching and isinstance(matching.value, list):
        items = matching.items()
        places += items
        _check_matching(matching, own, [item.value for item in items], known)
    for one in places:
        if isinstance(one.value, str) and "/" in one.value and one.value not in known:
            one.warn(f"{format_value(one.value)} names no parameter and is ignored", "correct the name")


def _check_matching(place: DescriptorNode, own: str, others: list[Any], known: dict[str, DataType]) -> None:
    names = [one for one in others if isinstance(one, str) and one in known]
    if names and any(not isinstance(known[one], Array) for one in (own, *names) if one in known):
        place.warn_divergence("matching_type")
    section, _, name = own.partition("/")
    if names and f"{'outputs' if section == 'inputs' else 'inputs'}/{name}" in known:
        place.warn_divergence("matching_names")
