"""Rows that are every combination of files and values, such as those of --over and --grid."""

from __future__ import annotations

import glob
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from localrun.batch.rows import Row, read_row
from localrun.descriptor import Descriptor
from localrun.descriptor.types import format_value
from localrun.errors import InputsError, Problem, UsageError
from localrun.values import parse_assignments
from localrun.values.parsing import expand_path, resolve_files
from localrun.values.references import parse_reference
from localrun.values.urls import is_url


class Axis(msgspec.Struct, frozen=True):
    """An input, and its values in the rows: as texts of `-i NAME=VALUE`, or as JSON values."""

    name: str
    texts: Sequence[str] = ()
    values: Sequence[Any] = ()

    def __len__(self) -> int:
        return len(self.texts) or len(self.values)

    def parse(self, descriptor: Descriptor) -> list[tuple[Any, tuple[Problem, ...]]]:
        """Return each value with its problems."""
        if self.values:
            return [(value, ()) for value in self.values]
        found = [parse_assignments([f"{self.name}={text}"], descriptor) for text in self.texts]
        return [(one.values.get(self.name), one.problems) for one in found]


def over(text: str) -> Axis:
    """Return the axis of `NAME=@PATTERN`, with the files in the order of their paths.

    Raises `ValueError` for another form, or if no file matches.
    """
    name, _, pattern = text.partition("=")
    if not name or not pattern.startswith("@"):
        raise ValueError(f"{format_value(text)} is not NAME=@PATTERN; use --grid for values")
    if is_url(pattern[1:]):
        raise ValueError(f'URLs cannot be patterns; list them with --grid \'{name}=["URL", "URL"]\'')
    if parse_reference(pattern[1:]):
        raise ValueError(f"outputs of tasks cannot be patterns; list them with --grid {name}={pattern},...")
    path = str(expand_path(pattern))
    found = [path] if Path(path).exists() else sorted(glob.glob(path, recursive=True))  # noqa: PTH207
    if not found:
        raise ValueError(f"no file matches {path!r}")
    return Axis(name, texts=[f"@{one}" for one in found])


def grid(text: str) -> Axis:
    """Return the axis of `NAME=VALUE,VALUE...`, or of `NAME=[...]` with a JSON list of values.

    Raises `ValueError` for another form.
    """
    name, equals, values = text.partition("=")
    if not name or not equals or not values:
        raise ValueError(f"{format_value(text)} is not NAME=VALUE,VALUE")
    if not values.startswith("["):
        texts = values.split(",")
        if "" in texts:
            raise ValueError(f"{format_value(text)} has an empty value")
        return Axis(name, texts=texts)
    try:
        found = json.loads(values)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{format_value(values)} is not a JSON list: {error}") from None
    if not found:
        raise ValueError(f"{format_value(text)} has no values")
    return Axis(name, values=[resolve_files(value, Path()) for value in found])


class ProductRows:
    """The product of axes: the last one changes fastest. Raises `UsageError` if two have the same name."""

    file = ""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self._axes = axes
        for name, count in Counter(axis.name for axis in axes).items():
            if count > 1:
                message = f"{name} is set by {count} of --over and --grid"
                raise UsageError(message, remedy="put all of its values into one")

    @classmethod
    def of_values(cls, values: Mapping[str, Iterable[Any]]) -> ProductRows:
        """Return the rows for the values of inputs by name. None is the default of an input.

        Raises `UsageError` for anything but lists by name.
        """
        remedy = "pass a list of values for each input"
        if not isinstance(values, Mapping):
            raise UsageError(f"expected lists by name, found {type(values).__name__}", remedy=remedy)
        for name, found in values.items():
            if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
                raise UsageError(f"expected a list for {name!r}, found {format_value(found)}", remedy=remedy)
        return cls([Axis(name, values=list(found)) for name, found in values.items()])

    def __len__(self) -> int:
        """Return the number of rows."""
        return math.prod(map(len, self._axes))

    def describe(self) -> dict[str, Any]:
        return {"axes": {axis.name: len(axis) for axis in self._axes}}

    def rows(self, descriptor: Descriptor) -> Iterator[Row]:
        """Yield the rows. Raises `InputsError` if there are none."""
        empty = [
            Problem(f"inputs.{axis.name}", "there are no values") for axis in self._axes if not len(axis)
        ]
        if empty or not self._axes:
            raise InputsError("there are no rows", remedy="pass at least one value", problems=empty)
        names = [axis.name for axis in self._axes]
        parsed = [axis.parse(descriptor) for axis in self._axes]
        for number, combination in enumerate(itertools.product(*parsed), 1):
            pairs = zip(names, combination, strict=True)
            values = {name: value for name, (value, problems) in pairs if not problems}
            row = read_row(number, values, descriptor)
            problems = (*row.problems, *(one for _, found in combination for one in found))
            yield msgspec.structs.replace(row, problems=problems)
