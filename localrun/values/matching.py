"""Check arrays that must have the same number of items, and outputs that are derived from inputs.

App Engine: a match among inputs is checked before the run, one with an output after it. Its documentation
calls a match mutual and transitive, so parameters that are linked in any way form one group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localrun.descriptor import Descriptor, Parameter
from localrun.descriptor.types import Array, Notes
from localrun.units import format_count

Group = list[str]  # references such as inputs/a


def check_inputs(descriptor: Descriptor, inputs: Mapping[str, Any], notes: Notes) -> None:
    """Report inputs that do not match each other, before the run."""
    if not any(one.matching for one in (*descriptor.inputs.values(), *descriptor.outputs.values())):
        return
    sizes = _sizes("inputs", inputs)
    for group in linked_arrays(descriptor):
        _compare([one for one in group if one.startswith("inputs/")], sizes, notes)
    for name in _unset(descriptor, inputs):
        notes.child(name).warn_divergence("matching_absent")


def check_outputs(
    descriptor: Descriptor, inputs: Mapping[str, Any], outputs: Mapping[str, Any], notes: Notes
) -> None:
    """Report outputs that do not match inputs or each other, after the run."""
    sizes = _sizes("inputs", inputs) | _sizes("outputs", outputs)
    for group in linked_arrays(descriptor):
        _compare(group, sizes, notes)
    for name, parameter in descriptor.outputs.items():
        origin = (parameter.derived_from or "").removeprefix("inputs/")
        is_optional = origin in descriptor.inputs and descriptor.inputs[origin].optional
        if is_optional and inputs and origin not in inputs and outputs.get(name) is not None:
            notes.child(name).warn(f"derived from inputs.{origin}, which is not set")


def _sizes(section: str, values: Mapping[str, Any]) -> dict[str, int]:
    return {f"{section}/{name}": len(value) for name, value in values.items() if isinstance(value, list)}


def _compare(group: Group, sizes: Mapping[str, int], notes: Notes) -> None:
    """Compare each array with the first one that has a value (an input, if any)."""
    found = [one for one in group if one in sizes]
    for one in found[1:]:
        if sizes[one] == sizes[found[0]]:
            continue
        section, _, name = one.partition("/")
        first = found[0].replace("/", ".")
        size = format_count(sizes[one], "item")
        message = f"has {size}, but must match {first}, which has {sizes[found[0]]}"
        remedy = "use the same number of items for both"
        Notes(section, notes.problems).child(name).error(message, remedy)


def _arrays(descriptor: Descriptor) -> dict[str, Parameter]:
    every = {f"inputs/{name}": one for name, one in descriptor.inputs.items()}
    every |= {f"outputs/{name}": one for name, one in descriptor.outputs.items()}
    return {reference: one for reference, one in every.items() if isinstance(one.type, Array)}


def linked_arrays(descriptor: Descriptor) -> list[Group]:
    """Return the groups that must match, inputs first. Only references to arrays count."""
    arrays = _arrays(descriptor)
    group_of: dict[str, set[str]] = {}
    for reference, parameter in arrays.items():
        for other in parameter.matching:
            if other in arrays:
                joined = group_of.get(reference, {reference}) | group_of.get(other, {other})
                group_of.update(dict.fromkeys(joined, joined))
    places = {reference: place for place, reference in enumerate(arrays)}
    unique = {frozenset(group) for group in group_of.values()}
    ordered = [sorted(group, key=places.__getitem__) for group in unique]
    return sorted(ordered, key=lambda group: places[group[0]])


def _unset(descriptor: Descriptor, inputs: Mapping[str, Any]) -> Iterator[str]:
    """Return the unset inputs that a declared match with another input names."""
    arrays = _arrays(descriptor)
    linked = {
        name
        for reference, parameter in arrays.items()
        for other in parameter.matching
        if other in arrays and reference.startswith("inputs/") and other.startswith("inputs/")
        for name in (reference, other)
    }
    names = (reference.removeprefix("inputs/") for reference in arrays if reference in linked)
    return (name for name in names if name not in inputs)
