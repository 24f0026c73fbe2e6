"""Reads a batch from the JSON object of a client."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from localrun.batch.rows import GridRows, ListedRows, RowSource
from localrun.errors import Problem, UsageError
from localrun.manager.payload import from_payload
from localrun.manager.request import Request
from localrun.server.batches.models import MAX_ROWS, NewBatch
from localrun.server.bundle_store import BundleStore
from localrun.settings import Settings


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
    """Return the rows. Raises `UsageError` unless there are either rows or a grid, and not too many."""
    if (found.rows is None) == (found.grid is None):
        raise _invalid("rows", "expected either rows or a grid", "pass one of them")
    if found.rows is not None:
        return ListedRows(found.rows)
    grid: dict[str, list[Any]] = found.grid or {}
    count = math.prod(map(len, grid.values()))
    if count > MAX_ROWS:
        raise _invalid("grid", f"{count:,} combinations are more than {MAX_ROWS:,} rows", "pass fewer values")
    return GridRows(grid)


def _invalid(name: str, message: str, remedy: str) -> UsageError:
    return UsageError("invalid batch", remedy=remedy, problems=[Problem(name, message, remedy)])


def is_below(path: str, folders: tuple[Path, ...]) -> bool:
    """Whether an output is a file of a task."""
    return any(path.startswith(f"{folder}/") for folder in folders)
