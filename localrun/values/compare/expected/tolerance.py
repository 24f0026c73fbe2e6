"""Tolerances for outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localrun.descriptor.types import (
    Array,
    DataType,
    DateTime,
    File,
    Geometry,
    Image,
    Integer,
    Number,
    format_value,
)
from localrun.errors import Problem, UsageError
from localrun.suggestions import did_you_mean
from localrun.units import format_count


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The allowed difference between one output and its expected value.

    `absolute` and `relative` apply to numbers, and to the numbers in a text file; one of the two must hold.
    `relative` defaults to 1e-9 for numbers, and to 0 for integers and texts. `seconds` applies to datetimes.
    `level` is the allowed difference in a channel of a pixel, and `pixels` the share of pixels, from 0 to 1,
    that may differ by more. `distance` is the allowed Hausdorff distance of two shapes, in their own unit.
    `overlap` is the minimum share, from 0 to 1, that two areas must have in common. With `ignore`, the output
    must only exist.
    """

    absolute: float = field(default=0.0, metadata={"for": (Integer, Number, File)})
    relative: float | None = field(default=None, metadata={"for": (Integer, Number, File)})
    seconds: float = field(default=0.0, metadata={"for": (DateTime,)})
    level: float = field(default=0.0, metadata={"for": (Image,)})
    pixels: float = field(default=0.0, metadata={"for": (Image,), "share": True})
    distance: float | None = field(default=None, metadata={"for": (Geometry,)})
    overlap: float | None = field(default=None, metadata={"for": (Geometry,), "share": True})
    ignore: bool = field(default=False, metadata={"for": (DataType,)})


EXACT = Tolerance()
_FIELDS = {name: one.metadata for name, one in Tolerance.__dataclass_fields__.items()}


def parse_tolerances(tolerances: Mapping[str, Any], types: Mapping[str, DataType]) -> dict[str, Tolerance]:
    """Parse tolerances in their JSON form, by output name. A single number is an absolute tolerance.

    Raises `UsageError` with every problem.
    """
    problems: list[Problem] = []
    found = {name: _one(name, value, types, problems) for name, value in tolerances.items()}
    if problems:
        count = format_count(len(problems), "problem")
        raise UsageError(f"invalid tolerances ({count})", remedy="fix the problems listed", problems=problems)
    return found


def _one(name: str, given: Any, types: Mapping[str, DataType], problems: list[Problem]) -> Tolerance:
    path = f"tolerances.{name}"
    if isinstance(given, Tolerance):
        return given
    if name not in types:
        remedy = did_you_mean(name, types) or f"expected one of: {', '.join(types)}"
        problems.append(Problem(path, f"unknown output {name!r}", remedy))
        return EXACT
    fields = given if isinstance(given, Mapping) else {"absolute": given}
    kind = _innermost(types[name])
    before = len(problems)
    for key, value in fields.items():
        _check(f"{path}.{key}", key, value, kind, problems)
    return Tolerance(**fields) if len(problems) == before else EXACT


def _innermost(kind: DataType) -> DataType:
    return _innermost(kind.subtype) if isinstance(kind, Array) else kind


def _check(path: str, key: str, value: Any, kind: DataType, problems: list[Problem]) -> None:
    allowed = [name for name, facts in _FIELDS.items() if isinstance(kind, facts["for"])]
    if key not in allowed:
        what = f"not applicable to the type {kind.id}" if key in _FIELDS else f"unknown tolerance {key!r}"
        remedy = did_you_mean(key, allowed) or f"expected one of: {', '.join(allowed)}"
        problems.append(Problem(path, what, remedy))
    elif key == "ignore":
        if not isinstance(value, bool):
            problems.append(Problem(path, f"expected true or false, got {format_value(value)}", "use true"))
    elif not _is_amount(value, 1.0 if _FIELDS[key].get("share") else math.inf):
        limit = "from 0 to 1" if _FIELDS[key].get("share") else "of at least 0"
        message = f"invalid tolerance {format_value(value)}"
        problems.append(Problem(path, message, f"use a number {limit}"))


def _is_amount(value: Any, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
