"""Inputs that are elsewhere: URLs, and outputs of other tasks.

These are `@task:ID/mask`, in JSON `{"task": ID, "output": "mask"}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.task.record import short_id
from localrun.values.urls import Url

_PREFIX = "task:"
_FILES = (File, Image, Geometry)
_SCALARS = (str, int, float, Path)


class TaskOutput(msgspec.Struct, frozen=True):
    """An output of another task. `output` is its name, or e.g. `masks/0` for an item of an array."""

    task: str
    output: str

    def __str__(self) -> str:
        return f"output {self.output!r} of task {short_id(self.task)}"


Reference = TaskOutput | Url
Visit = Callable[[str, Reference], Any]


def parse_reference(text: str) -> TaskOutput | None:
    """Return the output that `task:ID/NAME` or `task:ID/REPLICA/NAME` names; None for any other text."""
    if not text.startswith(_PREFIX):
        return None
    task, _, output = text.removeprefix(_PREFIX).partition("/")
    first, slash, rest = output.partition("/")
    return TaskOutput(f"{task}/{first}", rest) if slash and first.isdecimal() else TaskOutput(task, output)


def replace_references(value: Any, place: str, visit: Visit) -> Any:
    """Return a value with each reference replaced by what `visit` returns for its place and itself.

    The place is that of the file below the input folder: `mask`, `masks/0`, `image.geojson`.
    """
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, (TaskOutput, Url)):
        return visit(place, value)
    if isinstance(value, (list, tuple)):
        return [replace_references(item, f"{place}/{index}", visit) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        if value.keys() == {"task", "output"} and all(isinstance(part, str) for part in value.values()):
            return visit(place, TaskOutput(**value))
        if "file" in value or value.keys() == {"index", "value"}:  # an image, or an item of an array
            places = {"region": f"{place}.geojson", "crop": f"{place}.crop"}
            parts = value.items()
            return {key: replace_references(part, places.get(key, place), visit) for key, part in parts}
    return value


def references_in(values: Mapping[str, Any]) -> dict[str, Reference]:
    """Return the references in the values of a task, by their place."""
    found: dict[str, Reference] = {}
    for name, value in values.items():
        replace_references(value, name, found.__setitem__)
    return found


def has_urls(values: Mapping[str, Any]) -> bool:
    return any(isinstance(found, Url) for found in references_in(values).values())


def parameter_of(place: str) -> str:
    """Return the name of the parameter that a place belongs to."""
    return re.split(r"[/.\[]", place, maxsplit=1)[0]


def type_at(kind: DataType, indexes: str) -> DataType | None:
    """Return the type of an item such as `0` or `0/1`; None if it is not in an array."""
    found: DataType = kind
    for index in filter(None, indexes.split("/")):
        if not isinstance(found, Array) or not index.isdecimal():
            return None
        found = found.subtype
    return found


def fits(source: DataType, target: DataType) -> bool:
    """Return whether a value of an output's type may be one of an input's; its constraints are checked later.

    A file may hold anything. A text of any other type is the content of a file or a string.
    """
    if isinstance(target, Array):
        if isinstance(source, Array):
            return fits(source.subtype, target.subtype)
        # a file is the only item of an array of files, or has a list in it
        return isinstance(source, _FILES) and (
            isinstance(source, File) or (isinstance(target.subtype, _FILES) and fits(source, target.subtype))
        )
    if isinstance(source, Array):
        return False
    if isinstance(source, File) or isinstance(target, File) or source.id == target.id:
        return True
    if isinstance(source, Image) or isinstance(target, Image):
        return False
    return (source.id, target.id) == ("integer", "number") or target.id in ("string", "enumeration")
