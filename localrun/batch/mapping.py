"""`localrun.map`: run a bundle for many rows of inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from localrun.api.apps import app_for, settings_for
from localrun.api.options import Place, option_names, parse_submission, split_inputs
from localrun.batch.backends import backend_for
from localrun.batch.batch import BatchRun
from localrun.batch.delivery import Notify
from localrun.batch.handle import Batch
from localrun.batch.keywords import keyword_remedies
from localrun.batch.options import BatchOptions
from localrun.batch.product import ProductRows
from localrun.batch.rows import ListedRows, RowSource, records_of
from localrun.batch.table import TableRows
from localrun.errors import Problem, UsageError
from localrun.manager.defaults import with_defaults
from localrun.manager.option_hints import option_hints
from localrun.manager.request import Request
from localrun.settings.options import PullPolicy


def map(  # noqa: A001 - as `Executor.map`
    bundle: Place,
    rows: Iterable[Mapping[str, Any]] | Place | None = None,
    /,
    *,
    grid: Mapping[str, Iterable[Any]] | None = None,
    output: Place | None = None,
    results: Place | None = None,
    jobs: int | None = None,
    cluster: str | None = None,
    resume: bool = False,
    rerun_failed: bool = False,
    skip_invalid: bool = False,
    inputs: Mapping[str, Any] | Place | None = None,
    use_image: str | None = None,
    timeout: float | str | None = None,
    cpus: float | None = None,
    memory: int | str | None = None,
    gpus: int | None = None,
    network: bool | None = None,
    build_args: Mapping[str, str] | None = None,
    dockerfile: Place | None = None,
    context: Place | None = None,
    target: str | None = None,
    build_secrets: Mapping[str, Place] | Iterable[str] = (),
    build_contexts: Mapping[str, str] | None = None,
    writable_inputs: bool | None = None,
    copy_inputs: bool | None = None,
    mounts: Iterable[str] = (),
    hardened: bool | None = None,
    pull: PullPolicy | None = None,
    platform: str | None = None,
    retries: int | None = None,
    reuse: bool | Literal["all"] | None = None,
    replicas: int | None = None,
    agree: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    home: Place | None = None,
    **values: Any,
) -> Batch:
    """Run a bundle once for each row of inputs, and return at once. The rows run in this process.

    `rows` are mappings of inputs by name (a list, a generator, a data frame of pandas or polars), or the path
    of a table: CSV with a line of names, or JSON Lines. `grid` takes their place: a list of values by name,
    of which all combinations are rows. A missing value or None is the default of the input. `id` names a row
    and its folder of outputs, unless it is an input. `values` and `inputs` are for all rows, as in `submit`,
    and a row overrides them.

    The results are written to the tables `results` (`.csv` or `.jsonl`; the other one lies beside it), files
    to the folder `DIR/ROW` of `output`. At most `jobs` rows are submitted at once (None: as many as fit), to
    the Dask `cluster` at an address such as `"tcp://host:8786"`, or `"local:2"` (None: this machine). With
    `resume`, rows whose result is in the table are not repeated, with `rerun_failed` only the finished ones.
    `skip_invalid` runs the valid rows although others are not. All other options are those of `submit`.

    Raises `InputsError` with the problems of all rows, by row and column, and what `submit` raises. Nothing
    runs then.
    """
    return _map(Path(bundle), rows, locals())


def _map(bundle: Path, rows: Any, given: Mapping[str, Any]) -> Batch:
    app = app_for(given["home"])
    options = with_defaults(parse_submission(given), settings_for(given["home"]))
    shared, folder = split_inputs(given["inputs"], given["values"])
    request = Request(bundle, values=shared, inputs_folder=folder, detached=True, **options)
    source, jobs = _source(rows, given["grid"]), _jobs(given["jobs"])
    chosen = BatchOptions(
        output=_path(given["output"]),
        results=_path(given["results"]),
        resume=given["resume"] or given["rerun_failed"],
        rerun_failed=given["rerun_failed"],
        skip_invalid=given["skip_invalid"],
    )

    def start(options: BatchOptions, notify: Notify) -> BatchRun:
        backend = backend_for(app, request, cluster=given["cluster"], jobs=jobs, notify=notify)
        with keyword_remedies(), option_hints(lambda: option_names(map)):
            return BatchRun(app, request, source, options, backend=backend, notify=notify)

    app.supervise()
    return Batch(start, chosen)


def _source(rows: Any, grid: Mapping[str, Iterable[Any]] | None) -> RowSource:
    if (rows is None) == (grid is None):
        raise UsageError("expected either rows or `grid`", remedy="pass one of them")
    if grid is not None:
        return ProductRows.of_values(grid)
    if isinstance(rows, str | os.PathLike):
        return TableRows(Path(rows))
    return ListedRows(records_of(rows))


def _path(place: Place | None) -> Path | None:
    return None if place is None else Path(place)


def _jobs(jobs: Any) -> int | None:
    if jobs is not None and (type(jobs) is not int or jobs < 1):
        problem = Problem("jobs", f"expected a positive integer, found {jobs!r}")
        raise UsageError("invalid options (1 problem)", remedy="fix the problems listed", problems=[problem])
    found: int | None = jobs
    return found
