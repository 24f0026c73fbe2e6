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

_REFERENCE = r"(inputs|outputs)(?:/[a-zA-Z0-9_]+)+"
_COMMON = {"type", "description", "display_name", "optional", "dependencies"}

# how the schema checks a default; it does not check defaults of other types
_DEFAULTS: dict[type[DataType], Callable[[DescriptorNode], Any]] = {
    Boolean: DescriptorNode.boolean,
    Integer: DescriptorNode.integer,
    Number: DescriptorNode.number,
    String: DescriptorNode.string,
    Enumeration: read_enumeration_value,
    DateTime: read_datetime,
}


def read_parameters(node: DescriptorNode | None, *, output: bool) -> dict[str, Parameter]:
    """Return the valid parameters of `inputs` or `outputs`."""
    if node is None or not node.check_mapping():
        return {}
    found = {name: _parameter(inner, name, output) for name, inner in node.entries()}
    return {name: parameter for name, parameter in found.items() if parameter is not None}


def _parameter(node: DescriptorNode, name: str, output: bool) -> Parameter | None:
    if not re.fullmatch(r"[a-zA-Z0-9_]+", name, re.ASCII):
        node.error(f"invalid parameter name {format_value(name)}", "use only letters, digits and _")
    known = _COMMON if output else _COMMON | {"default"}
    if not node.check_mapping(known):
        return None
    type_node = node.require("type", known)
    found = read_type(type_node, output=output) if type_node else None
    fields = _texts(node, known) | _dependencies(node, found, output)
    optional = node.get("optional")
    is_optional = optional is not None and bool(optional.boolean())
    if optional is not None and is_optional and output:
        optional.warn_divergence("output_optional")
    if found is None:
        return None
    default = MISSING if output else _default(node, found)
    return Parameter(name=name, type=found, default=default, optional=is_optional, **fields)


def _texts(node: DescriptorNode, known: set[str]) -> dict[str, Any]:
    description = node.require("description", known)
    fields: dict[str, Any] = {"description": (description.string() if description else None) or ""}
    display_name = node.get("display_name")
    if display_name is None:
        node.warn_divergence("display_name", "display_name")
    elif display_name.value == "":
        display_name.error("must not be empty", "write a name to display")
    else:
        fields["display_name"] = display_name.string() or ""
    return fields


def _default(node: DescriptorNode, found: DataType) -> Any:
    inner = node.get("default")
    if inner is None:
        return MISSING
    getter = _DEFAULTS.get(type(found))
    value = getter(inner) if getter else inner.to_python()
    if getter and value is None:
        return MISSING
    # App Engine does not check defaults, so an invalid one must not make the bundle invalid
    notes = Notes(inner.path)
    if holds_files(found):
        inner.warn("a file input cannot have a default (ignored)", "remove it")
    else:
        found.validate(value, notes)
    for problem in notes.problems:
        inner.warn(f"invalid default: {problem.message}", problem.remedy)
    return value


def _dependencies(node: DescriptorNode, found: DataType | None, output: bool) -> dict[str, Any]:
    inner = node.get("dependencies")
    # the schema has this key only for outputs and arrays
    is_known = output or found is None or isinstance(found, Array)
    if inner is not None and not is_known and not isinstance(inner.value, dict):
        inner.warn("expected a mapping (ignored)", "remove it")
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


def _matching(node: DescriptorNode) -> tuple[str, ...]:
    if not isinstance(node.value, list):
        node.warn("expected a list (ignored)", "write a list such as [inputs/a]")
        return ()
    return tuple(filter(None, (_reference(item) for item in node.items())))


def _reference(node: DescriptorNode) -> str | None:
    # validators ignore the pattern that the schema has for it, so an invalid reference is not an error
    if isinstance(node.value, str) and re.fullmatch(_REFERENCE, node.value, re.ASCII):
        return node.value
    message = f"invalid reference {format_value(node.to_python())}"
    node.warn(message, "expected inputs/<name> or outputs/<name>")
    return node.value if isinstance(node.value, str) else None


def check_references(node: DescriptorNode, known: dict[str, DataType]) -> None:
    """Warn of references to a missing or unsuitable parameter; `known` has keys such as `inputs/a`."""
    for section in ("inputs", "outputs"):
        inner = node.get(section)
        for name, parameter in inner.entries() if inner and isinstance(inner.value, dict) else ():
            _check_parameter(parameter, f"{section}/{name}", known)


def _check_parameter(node: DescriptorNode, own: str, known: dict[str, DataType]) -> None:
    dependencies = node.get("dependencies") if isinstance(node.value, dict) else None
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
            one.warn(f"unknown parameter {format_value(one.value)} (ignored)", "correct the name")


def _check_matching(node: DescriptorNode, own: str, others: list[Any], known: dict[str, DataType]) -> None:
    names = [one for one in others if isinstance(one, str) and one in known]
    if names and any(not isinstance(known[one], Array) for one in (own, *names) if one in known):
        node.warn_divergence("matching_type")
    section, _, name = own.partition("/")
    if names and f"{'outputs' if section == 'inputs' else 'inputs'}/{name}" in known:
        node.warn_divergence("matching_names")
