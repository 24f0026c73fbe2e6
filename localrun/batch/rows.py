"""The rows of a batch: one set of inputs each, and where they come from."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from localrun.descriptor import Descriptor
from localrun.errors import Problem
from localrun.manager.inputs import override
from localrun.manager.request import Request
from localrun.task.record import BatchRow


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
        return str(uuid.uuid5(uuid.UUID(self.batch), f"{self.digest}/{self.occurrence}/{attempt}"))

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
    """Rows from memory."""

    file = ""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    def rows(self, descriptor: Descriptor) -> Iterator[Row]:  # noqa: ARG002
        for number, values in enumerate(self._rows, 1):
            yield Row(number, values)

    def describe(self) -> dict[str, Any]:
        return {"rows": len(self._rows)}
