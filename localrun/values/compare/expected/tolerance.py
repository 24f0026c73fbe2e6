"""How far an output may be from what is expected."""

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


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far one output may be from what is expected; 0 and None: as said with each.

    `absolute` and `relative` are for numbers, and for those in the text of a file: one of the two must hold
    (relative: None is 1e-9 for numbers and 0 for whole numbers and texts). `seconds` is for datetimes.
    `level`: how much a channel of a pixel may differ; `pixels`: the share of pixels, from 0 to 1, that may
    differ by more. `distance`: how far apart two shapes may be (Hausdorff), in their own unit; `overlap`:
    the least share, from 0 to 1, that two areas must have in common. `ignore`: it must be there, no more.
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


def parse_tolerances(given: Mapping[str, Any], types: Mapping[str, DataType]) -> dict[str, Tolerance]:
    """Read tolerances as JSON has them, by the names of outputs; a mere number is an absolute one.

    Raises `UsageError` with everything that does not fit.
    """
    problems: list[Problem] = []
    found = {name: _one(name, value, types, problems) for name, value in given.items()}
    if problems:
        count = "a tolerance does" if len(problems) == 1 else f"{len(problems)} tolerances do"
        raise UsageError(f"{count} not fit", remedy="correct what is listed", problems=problems)
    return found


def _one(name: str, given: Any, types: Mapping[str, DataType], problems: list[Problem]) -> Tolerance:
    path = f"tolerances.{name}"
    if isinstance(given, Tolerance):
        return given
    if name not in types:
        remedy = did_you_mean(name, types) or f"the outputs are: {', '.join(types)}"
        problems.append(Problem(path, "is no output of the task", remedy))
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
        what = f"has no meaning for the type {kind.id}" if key in _FIELDS else "is no tolerance"
        problems.append(Problem(path, what, did_you_mean(key, allowed) or f"there are {', '.join(allowed)}"))
    elif key == "ignore":
        if not isinstance(value, bool):
            problems.append(Problem(path, f"{format_value(value)} is neither true nor false", "write true"))
    elif not _is_amount(value, 1.0 if _FIELDS[key].get("share") else math.inf):
        limit = "from 0 to 1" if _FIELDS[key].get("share") else "of at least 0"
        problems.append(Problem(path, f"{format_value(value)} is no tolerance", f"write a number {limit}"))


def _is_amount(value: Any, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
