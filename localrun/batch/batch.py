"""A batch: one bundle over many rows of inputs."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from localrun.app import App
from localrun.batch.backend import Backend, RowResult
from localrun.batch.checks import CheckedRows, check_rows
from localrun.batch.delivery import Notify, OutputFolder
from localrun.batch.identity import Identifier, shared_identity
from localrun.batch.local import LocalBackend, refused
from localrun.batch.names import row_name
from localrun.batch.results import ResultLine, ResultTable, line_of, read_lines
from localrun.batch.rows import Row, RowSource
from localrun.batch.store import BatchRecord, BatchStore, owned
from localrun.console.batch import BatchCounts
from localrun.errors import InputsError
from localrun.manager.request import Request
from localrun.manager.submission import read_requested
from localrun.task.states import TaskState
from localrun.units import format_count

_SAVE_INTERVAL = 1.0  # seconds between two updates of the record's counts


class BatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a batch runs.

    `results` is the table of results, as CSV or JSON Lines; None: in `output`, or else in the batch's own
    folder. `output` gets the files, in a folder for each row. With `resume`, the rows that have ended are
    not repeated, except failed ones with `rerun_failed`. With `skip_invalid`, invalid rows end as FAILED
    instead of keeping all rows from running.
    """

    output: Path | None = None
    results: Path | None = None
    resume: bool = False
    rerun_failed: bool = False
    skip_invalid: bool = False
    in_image: bool = False


class Batch:
    """Rows that run on a backend; iterate over it for the result of each row, in the order of their ends.

    Creating it checks all rows, and starts none. Raises `InputsError` with the problems of all rows, and what
    reading the bundle raises. `record` is the batch as it is stored.
    """

    def __init__(
        self,
        app: App,
        request: Request,
        source: RowSource,
        options: BatchOptions = BatchOptions(),  # noqa: B008 - immutable
        *,
        backend: Backend | None = None,
        notify: Notify = lambda _: None,
    ) -> None:
        self._app, self._source, self._options = app, source, options
        self._bundle = read_requested(request, app.settings.cache)
        self._request = request
        self._notify = notify
        self._backend = backend or LocalBackend(app, request)
        self.checked: CheckedRows = check_rows(source, request, self._bundle.descriptor)
        if self.checked.problems and not options.skip_invalid:
            raise invalid_rows(self.checked)
        self._store = BatchStore(app.settings.home)
        self._stopped = False
        self._in_flight = 0
        self._done: set[int] = set()
        self._counts: Counter[str] = Counter()
        self._saved = 0.0
        self._lock: int | None = None
        self._output = None
        if options.output is not None:
            limit = app.settings.disk_stop
            self._output = OutputFolder(options.output, app.store, limit, in_image=options.in_image)
        self.record = self._open()

    def _open(self) -> BatchRecord:
        place = self._place()
        earlier = self._store.find_by_results(place) if place and self._options.resume else None
        record = earlier or self._store.create(bundle=self._bundle.name)
        self._lock = self._store.acquire(record)
        path = place or self._store.folder(record.id) / "results.jsonl"
        self.table = ResultTable(path, list(self.checked.columns), list(self._bundle.descriptor.outputs))
        return owned(record).replace(
            bundle=str(self._bundle.path or self._bundle.name),
            name=self._bundle.descriptor.name,
            source=self._source.describe(),
            results=str(path),
            output=str(self._options.output or ""),
            total=self.checked.total,
            invalid=len(self.checked.invalid),
        )

    def _place(self) -> Path | None:
        """Return the path of the JSON Lines; None: in the batch's own folder."""
        chosen, output = self._options.results, self._options.output
        if chosen is None and output is None:
            return None
        return (chosen or output / "results").absolute().with_suffix(".jsonl")  # type: ignore[operator]

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.checked.total

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of ended rows by state."""
        return dict(self._counts)

    def progress(self) -> BatchCounts:
        """Return the numbers of rows by state. Thread-safe."""
        return BatchCounts(self.checked.total, dict(self._counts), self._backend.states())

    def summary(self) -> dict[str, Any]:
        """Return what became of the batch, as plain JSON."""
        return {
            "batch": self.record.id,
            "state": self._store.state(self.record),
            "total": self.checked.total,
            "counts": dict(self._counts),
            "invalid": len(self.checked.invalid),
            "results": str(self.table.path),
            "csv": str(self.table.csv),
            "output": self.record.output,
        }

    @property
    def is_complete(self) -> bool:
        """Whether all rows have ended."""
        return sum(self._counts.values()) == self.checked.total

    def __iter__(self) -> Iterator[RowResult]:
        """Run the rows that have not ended, and yield the result of each when it is in the table."""
        try:
            identity = shared_identity(
                self._request, self._bundle.descriptor, self._backend.prepare(self._bundle)
            )
            self.record = self.record.replace(identity=identity)
            self._merge()
            self._save()
            yield from self._run()
        finally:
            self._close()

    def _merge(self) -> None:
        """Take over the results of an earlier run; see `BatchOptions`."""
        lines = list(self._earlier_lines())
        known = {line.key: line for line in lines if line.digest}
        kept: list[ResultLine] = []
        for row in self._identified() if known else ():
            line = known.pop((row.digest, row.occurrence), None)
            if line is not None:
                kept.append(msgspec.structs.replace(line, row=row.number, id=self.name_of(row)))
                self._done.add(row.number)
                self._counts[line.state] += 1
        self.table.replace(kept)

    def _earlier_lines(self) -> Iterator[ResultLine]:
        if not self._options.resume:
            return
        try:
            yield from read_lines(self.table.path)
        except FileNotFoundError:
            return

    def _identified(self) -> Iterator[Row]:
        """Yield the rows with their digests; an invalid one without."""
        identifier = Identifier(self.record.id, self.record.identity, self._request, self._bundle.descriptor)
        for row in self._source.rows(self._bundle.descriptor):
            yield row if row.number in self.checked.invalid else identifier.identify(row)

    def _run(self) -> Iterator[RowResult]:
        for row in self._identified():
            if self._stopped:
                break
            if row.number in self._done:
                continue
            if not row.digest:
                yield self._keep(refused(row, InputsError("invalid row")))
                continue
            while self._in_flight >= self._backend.slots:
                yield from self._next(None)
            self._in_flight += 1
            self._backend.start(row, self.record.attempt)
            yield from self._next(0)
        while self._in_flight:
            yield from self._next(None)
        if self.is_complete:
            self.record = self.record.replace(ended=time.time())

    def _next(self, timeout: float | None) -> Iterator[RowResult]:
        result = self._backend.next(timeout)
        if result is None:
            return
        self._in_flight -= 1
        if not (self._stopped and result.state is TaskState.KILLED):  # it runs again with --resume
            yield self._keep(result)

    def _keep(self, result: RowResult) -> RowResult:
        """Copy the outputs of a row, and write its result to the table."""
        if self._output is not None:
            result = self._output.deliver(result, self.name_of(result.row), self._notify)
        self.table.add(line_of(result, self.name_of(result.row)))
        self._counts[result.state] += 1
        if time.monotonic() - self._saved > _SAVE_INTERVAL:
            self._save()
        return result

    def name_of(self, row: Row) -> str:
        """Return the id of a row, or its zero-padded number."""
        return row_name(row, self.checked.total)

    def _save(self) -> None:
        self.record = self.record.replace(counts=dict(self._counts))
        self._store.save(self.record)
        self._saved = time.monotonic()

    def stop(self, grace: float | None = None) -> None:
        """Stop the rows in flight and start no more. Safe in another thread than the iteration.

        A batch that is resumed runs the stopped rows again.
        """
        if not self._stopped:
            self._stopped = True
            self.record = self.record.replace(attempt=self.record.attempt + 1)
            self._save()
        self._backend.cancel(grace)

    def _close(self) -> None:
        if self._in_flight:  # the iteration was left
            self.stop()
        self._save()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def invalid_rows(checked: CheckedRows) -> InputsError:
    """Return the error for the invalid rows of a batch."""
    count = format_count(len(checked.invalid), "invalid row")
    remedy = "fix the rows listed, or run the others with --skip-invalid"
    return InputsError(f"{count} of {checked.total:,}", remedy=remedy, problems=checked.problems)
