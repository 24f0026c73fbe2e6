"""Find the image that each geometry of a task belongs to.

In this order: the input that an output is derived from, the image array that the descriptor matches with the
geometries, and the only image. `nuclei/I/J` belongs to `images/I`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from localrun.descriptor import Descriptor, Parameter
from localrun.descriptor.types import Array, DataType, Geometry, Image
from localrun.values import matching

Crops = Mapping[str, str]  # paths of images that were cut out of an input, by its file such as `images/0`
Index = tuple[int, ...]


class Values(NamedTuple):
    """The values of a task by name, files as paths; `crops` take the place of image inputs."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    crops: Crops

    def section(self, name: str) -> Mapping[str, Any]:
        return self.inputs if name == "inputs" else self.outputs

    def value(self, reference: str) -> Any:
        """Return the value of a reference such as `inputs/image`."""
        section, _, name = reference.partition("/")
        return self.section(section)[name]


class Item(NamedTuple):
    """A value, and its place such as `nuclei[0][12]`."""

    place: str
    value: Any


class Picture(NamedTuple):
    """An image: its path, its place such as `inputs.images[0]`, and its file such as `images/0`."""

    path: str
    place: str
    file: str


class Group(NamedTuple):
    """The geometries on one image (None: unknown), and other images that may show the same objects."""

    items: list[Item]
    picture: Picture | None
    masks: list[Picture]


def innermost(kind: DataType) -> DataType:
    """Return the type of the items of an array, or the type itself."""
    while isinstance(kind, Array):
        kind = kind.subtype
    return kind


def geometry_names(parameters: Mapping[str, Parameter]) -> list[str]:
    return [name for name, one in parameters.items() if isinstance(innermost(one.type), Geometry)]


def parallel_value(value: Any, other: Any, index: Index) -> Any:
    """Return the scalar at an index of `value` in another array of the same shape; None if there is none."""
    for number in index:
        if not isinstance(value, list) or not isinstance(other, list) or len(value) != len(other):
            return None
        value, other = value[number], other[number]
    return None if isinstance(other, list | dict) else other


def groups(descriptor: Descriptor, values: Values, section: str, name: str) -> list[Group]:
    """Return the geometries of a parameter, by image; without one, by innermost array."""
    reference = _image_of(descriptor, values, section, name)
    value = values.section(section)[name]
    if reference is None:
        return [Group(items, None, []) for items in _lists(name, value)]
    is_declared = reference in _declared(descriptor, section, name)
    image = values.value(reference)
    masks = [one for one in _references(values, "outputs", descriptor.outputs) if one != reference]
    found = []
    for pair in _pairs(value, image, is_declared, (), ()):
        items = list(_leaves(_place(name, pair.at), pair.value))
        others = [picture for mask in masks if (picture := _picture(values, mask, pair.image))]
        found.append(Group(items, _picture(values, reference, pair.image), others))
    return found or [Group(items, None, []) for items in _lists(name, value)]


def _image_of(descriptor: Descriptor, values: Values, section: str, name: str) -> str | None:
    """Return the reference of the image that a parameter belongs to, such as `inputs/image`."""
    inputs = _references(values, "inputs", descriptor.inputs)
    outputs = _references(values, "outputs", descriptor.outputs)
    for reference in _declared(descriptor, section, name):
        if reference in (*inputs, *outputs):
            return reference
    only = inputs or outputs
    return only[0] if len(only) == 1 else None


def _declared(descriptor: Descriptor, section: str, name: str) -> list[str]:
    """Return the parameters that the descriptor links to this one."""
    parameters = descriptor.inputs if section == "inputs" else descriptor.outputs
    origin = parameters[name].derived_from
    found = [origin] if origin else []
    own = f"{section}/{name}"
    groups = [group for group in matching.linked_arrays(descriptor) if own in group]
    found += [one for group in groups for one in group if one != own]
    parent = descriptor.inputs.get((origin or "").removeprefix("inputs/"))
    if parent is not None and parent.derived_from:
        found.append(parent.derived_from)
    return found


def _references(values: Values, section: str, parameters: Mapping[str, Parameter]) -> list[str]:
    """Return the references of the images that have a value."""
    given = values.section(section)
    return [
        f"{section}/{name}"
        for name, one in parameters.items()
        if isinstance(innermost(one.type), Image) and given.get(name) is not None
    ]


class _Pair(NamedTuple):
    """A value and its index in the parameter, and the index of its image."""

    value: Any
    at: Index
    image: Index


def _pairs(value: Any, image: Any, is_declared: bool, index: Index, at: Index) -> Iterator[_Pair]:
    """Yield the values on each image. Arrays of one depth must be linked by the descriptor."""
    if not isinstance(image, list):
        yield _Pair(value, index, at)
    elif _is_nested(value) or (is_declared and isinstance(value, list) and len(value) == len(image)):
        for number, one in enumerate(value):
            other = image[number] if number < len(image) else None  # no image
            yield from _pairs(one, other, is_declared, (*index, number), (*at, number))
    elif len(image) == 1:
        yield from _pairs(value, image[0], is_declared, index, (*at, 0))


def _is_nested(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, list) for one in value)


def _picture(values: Values, reference: str, index: Index) -> Picture | None:
    value, rest = values.value(reference), index
    while isinstance(value, list) and rest:
        value, rest = (value[rest[0]] if rest[0] < len(value) else None), rest[1:]
    if not isinstance(value, str) or rest:
        return None
    section, _, name = reference.partition("/")
    file = "/".join((name, *map(str, index)))
    path = values.crops.get(file, value) if section == "inputs" else value
    return Picture(path, f"{section}.{_place(name, index)}", file)


def _place(name: str, index: Index) -> str:
    return name + "".join(f"[{number}]" for number in index)


def _leaves(place: str, value: Any) -> Iterator[Item]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(f"{place}[{number}]", one)
    elif value is not None:
        yield Item(place, value)


def _lists(place: str, value: Any) -> Iterator[list[Item]]:
    """Yield the items of each innermost array."""
    if _is_nested(value):
        for number, one in enumerate(value):
            yield from _lists(f"{place}[{number}]", one)
    else:
        yield list(_leaves(place, value))
