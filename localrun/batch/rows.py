"""The rows of a batch: one set of inputs each, and where they come from."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from localrun.api.options import plain
from localrun.descriptor import Descriptor
from localrun.descriptor.types import format_value
from localrun.errors import InputsError, Problem, UsageError
from localrun.manager.inputs import override
from localrun.manager.request import Request
from localrun.task.record import BatchRow
from localrun.values.parsing import unknown_input
from localrun.values.region_names import parse_region_name

ID = "id"
_NAMESPACE = uuid.UUID("5f1cf1a5-0d0c-4d0c-9f0b-7a4c6f2f6b51")  # of the ids of tasks


class Row(msgspec.Struct, frozen=True):
    """One row: the inputs of one task by name, as `Request.values` has them.

    `number` counts from 1. `id` names the row and its folder of outputs; empty: the number. `line` is its
    place in the table's file, 0 without one. `problems` are those of its text. `batch` is the id of the
    batch, and `digest` the SHA-256 of everything that the result depends on, in hexadecimal digits; both are
    empty until the row is identified. `occurrence` counts the rows with equal digests from 0.
    """

    number: int
    values: Mapping[str, Any]
    id: str = ""
    line: int = 0
    problems: tuple[Problem, ...] = ()
    batch: str = ""
    digest: str = ""
    occurrence: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """What the row is recognised by."""
        return self.digest, self.occurrence

    def task_id(self, attempt: int) -> str:
        """Return the id of the task of an identified row, which is always the same for an attempt, from 1."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.batch}/{self.digest}/{self.occurrence}/{attempt}"))

    def request(self, shared: Request) -> Request:
        """Return the request for the row's task, with what all rows share."""
        place = BatchRow(id=self.batch, row=self.number, name=self.id)
        return shared.replace(values=override(shared.values, self.values), batch=place)


class RowSource(Protocol):
    """Where rows come from. `file` is the path of a table, or empty."""

    file: str

    def rows(self, descriptor: Descriptor) -> Iterator[Row]:
        """Yield the rows in order; the same ones at each call. Raises `InputsError`."""

    def describe(self) -> dict[str, Any]:
        """Return a description in plain JSON, for display."""


class ListedRows:
    """Rows from mappings. None means the default of an input, `id` names the row unless it is an input."""

    file = ""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows

    def describe(self) -> dict[str, Any]:
        return {"rows": len(self._rows)}

    def rows(self, descriptor: Descriptor) -> Iterator[Row]:
        """Yield the rows. Raises `InputsError` if there are none."""
        if not self._rows:
            raise InputsError("there are no rows", remedy="pass at least one row")
        for number, values in enumerate(self._rows, 1):
            yield read_row(number, values, descriptor)


def records_of(rows: Any) -> list[Any]:
    """Return the rows of a list, a generator, or a data frame of pandas or polars. Raises `UsageError`."""
    if hasattr(rows, "to_dicts"):  # polars
        return list(rows.to_dicts())
    if hasattr(rows, "notna") and hasattr(rows, "columns"):  # pandas, which has NaN for missing values
        for name, count in Counter(rows.columns).items():
            if count > 1:
                raise UsageError(f"duplicate column {name!r}", remedy="remove or rename one of them")
        return list(rows.astype(object).where(rows.notna(), None).to_dict("records"))
    is_column = hasattr(rows, "notna")
    if is_column or isinstance(rows, Mapping | str | os.PathLike) or not isinstance(rows, Iterable):
        raise UsageError(
            f"expected rows, found {type(rows).__name__}",
            remedy="pass a list of mappings, a data frame, or the path of a table",
        )
    return list(rows)


def read_row(number: int, given: Any, descriptor: Descriptor) -> Row:
    """Return a row from a mapping as those of `ListedRows`, with the problems of its names."""
    if not isinstance(given, Mapping):
        message = f"expected inputs by name, found {format_value(given)}"
        return Row(number, {}, problems=(Problem("", message),))
    values = {name: plain(value) for name, value in given.items() if value is not None}
    problems = [_unknown(name, descriptor) for name in given if name != ID and not is_input(name, descriptor)]
    name = values.pop(ID, "") if ID not in descriptor.inputs else ""
    if isinstance(name, bool) or not isinstance(name, str | int):
        problems.append(Problem(f"inputs.{ID}", f"invalid id {format_value(name)}", "use a string"))
        name = ""
    return Row(number, values, str(name), problems=tuple(problems))


def is_input(name: Any, descriptor: Descriptor) -> bool:
    """Return whether a column is an input, or a region of one."""
    region = parse_region_name(name) if isinstance(name, str) else None
    return name in descriptor.inputs or (region is not None and region.parameter in descriptor.inputs)


def _unknown(name: Any, descriptor: Descriptor) -> Problem:
    if isinstance(name, str):
        return unknown_input(name, descriptor)
    return Problem("", f"expected the name of an input, found {format_value(name)}")
