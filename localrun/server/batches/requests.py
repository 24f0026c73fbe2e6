"""Reads a batch from the JSON object of a client."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from localrun.batch.product import ProductRows
from localrun.batch.rows import ListedRows, Row, RowSource
from localrun.batch.table import TableRows
from localrun.descriptor import Descriptor
from localrun.errors import InputsError, Problem, UsageError
from localrun.manager.payload import from_payload
from localrun.manager.request import Request
from localrun.server.batches.models import MAX_ROWS, NewBatch
from localrun.server.bundle_store import BundleStore
from localrun.settings import Settings
from localrun.values import FileValue
from localrun.values.urls import Url


def read_request(found: NewBatch, store: BundleStore, settings: Settings) -> Request:
    """Return the request that all rows share. Raises as `from_payload`, and for what batches do not have."""
    options = found.model_extra or {}
    problems = [
        Problem(name, "not possible in a batch", "leave it out")
        for name in ("profile", "command", "env", "outputs")
        if name in options
    ]
    if problems:
        raise UsageError("invalid batch", remedy="fix the problems listed", problems=problems)
    payload = {**options, "bundle": found.bundle, "inputs": found.inputs or {}}
    request = from_payload(payload, store.find_bundle, store.find_file, settings)
    by = found.assigned_by
    return request.replace(wait_for_inputs=False, submitted=None, assigned_by=by)


def read_rows(found: NewBatch) -> RowSource:
    """Return the rows. Raises `UsageError` if there are none or too many, or a second source of rows."""
    if [found.rows, found.grid, found.table].count(None) != 2:
        raise _invalid("rows", "expected either rows or a grid or a table", "pass one of them")
    if found.rows is not None:
        return ListedRows(found.rows)
    if found.table is not None:
        return SentTable(found.table_name, found.table)
    rows = ProductRows.of_values(found.grid or {})
    if len(rows) > MAX_ROWS:
        message = f"{len(rows):,} combinations are more than {MAX_ROWS:,} rows"
        raise _invalid("grid", message, "pass fewer values")
    return rows


class SentTable:
    """The rows of a table that a client has sent. It names files as clients do, not by their paths."""

    def __init__(self, name: str, text: str) -> None:
        self.file = name
        self._table = TableRows(Path(name), io.BytesIO(text.encode("utf-8", "surrogateescape")))

    def describe(self) -> dict[str, Any]:
        return {"table": self.file}

    def rows(self, descriptor: Descriptor) -> Iterator[Row]:
        """Yield the rows. Raises as `TableRows.rows`, and `InputsError` if there are too many."""
        for row in self._table.rows(descriptor):
            if row.number > MAX_ROWS:
                raise InputsError(f"the table has more than {MAX_ROWS:,} rows", remedy="split it")
            yield replace(row, values={name: _as_sent(value) for name, value in row.values.items()})


def _as_sent(value: Any) -> Any:
    """Return a parsed value as a client sends it: a path is the name of a file."""
    if isinstance(value, FileValue):
        return f"@{value.path}"
    if isinstance(value, Url):
        return value.text
    if isinstance(value, dict):
        return {name: _as_sent(item) for name, item in value.items()}
    return [_as_sent(item) for item in value] if isinstance(value, list) else value


def read_cluster(found: NewBatch, clusters: Sequence[str]) -> str | None:
    """Return the address of the cluster; None: this machine. Raises `UsageError` for any other one."""
    if found.cluster is None or found.cluster in clusters:
        return found.cluster
    expected = f"expected one of: {', '.join(clusters)}" if clusters else "this server has no clusters"
    raise _invalid("cluster", f"unknown cluster {found.cluster[:200]!r}", expected)


def _invalid(name: str, message: str, remedy: str) -> UsageError:
    return UsageError("invalid batch", remedy=remedy, problems=[Problem(name, message, remedy)])
