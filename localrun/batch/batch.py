"""A batch: one bundle over many rows of inputs."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localrun.app import App
from localrun.batch.backend import Backend, RowResult
from localrun.batch.checks import CheckedRows, check_columns, check_rows
from localrun.batch.delivery import Notify, OutputFolder
from localrun.batch.identity import Identifier, shared_identity
from localrun.batch.local import LocalBackend, refused
from localrun.batch.names import row_name
from localrun.batch.options import BatchOptions
from localrun.batch.results import ResultTable, line_of
from localrun.batch.resumption import Resumption, changes, resumed
from localrun.batch.reuse import ReuseCounts
from localrun.batch.row_warnings import RowWarnings
from localrun.batch.rows import Row, RowSource
from localrun.batch.store import BatchRecord, BatchStore
from localrun.console.batch import BatchCounts
from localrun.descriptor import Descriptor
from localrun.errors import Cause, InputsError, LocalrunError, TaskKilled, UsageError
from localrun.manager.provisioning import TaskInputs
from localrun.manager.request import Request
from localrun.manager.submission import read_requested
from localrun.task.process import current_process
from localrun.task.states import TaskState
from localrun.units import format_count

_SAVE_INTERVAL = 1.0  # seconds between two updates of the record's counts
_MOST_FAILURES = 20  # in the summary, the latest ones
_NO_ROW_CAN_RUN = {str(Cause.ENGINE_UNREACHABLE), str(Cause.DISK_FULL)}


class BatchRun:
    """Rows that run on a backend; iterate over it for the result of each row, in the order of their ends.

    Creating it checks all rows, and starts none. Raises `InputsError` with the problems of all rows, and what
    reading the bundle raises. `record` is the batch as it is stored, `table` the files of its results.
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
        self._source, self._options, self._notify = source, options, notify
        self._request = request
        if request.profile == "iexec":
            raise UsageError("a batch cannot run an iExec app", remedy="use `localrun run --profile iexec`")
        self._cache = app.settings.cache
        self._bundle = read_requested(request, self._cache)
        self._backend = backend or LocalBackend(app, request)
        place = options.table
        inputs = TaskInputs(app.store, app.settings)
        self.checked: CheckedRows = check_rows(
            source, request, self._bundle.descriptor, inputs, options.tables_in_output
        )
        check_columns(self.checked.columns, request)
        if self.checked.problems and not options.skip_invalid:
            raise _invalid_rows(self.checked)
        self._store = BatchStore(app.settings.home)
        self._guard = threading.RLock()  # of the record
        self._stopped = self._paused = False
        self.is_open = False  # whether the table has only results that count
        self._in_flight = 0
        self._done: set[int] = set()
        self._counts: Counter[str] = Counter()
        self.reuse, self.warnings = ReuseCounts(), RowWarnings()
        self._saved = 0.0
        self._failures: deque[dict[str, Any]] = deque(maxlen=_MOST_FAILURES)
        self._output: OutputFolder | None = None
        if options.output is not None:
            limit = app.settings.disk_stop
            self._output = OutputFolder(options.output, app.store, limit, in_image=options.in_image)
        self._place = place
        earlier = self._find_earlier()
        self._is_resumed = earlier is not None
        record = earlier or self._store.create(
            options.batch, bundle=self._bundle_name, name=self.descriptor.name, source=source.describe()
        )
        self._lock: int | None = self._store.acquire(record)
        self.record = self._store.load(record.id) or record  # another process may have run it until now
        path = place or self._store.results(self.record.id)
        self.table = ResultTable(path, list(self.checked.columns), list(self._bundle.descriptor.outputs))

    # -- open and close --------------------------------------------------------------------------

    @property
    def _bundle_name(self) -> str:
        return str(self._bundle.path.absolute() if self._bundle.path else self._bundle.name)

    def _find_earlier(self) -> BatchRecord | None:
        """Return the batch to resume. Raises `UsageError` if the results would replace another file."""
        if self._options.batch:
            return self._store.load(self._options.batch)
        found = self._store.find(self._place, self._bundle_name, self._source.describe())
        if found is not None and self._options.resume:
            return found
        if found is not None and self._place is not None:
            os.close(self._store.acquire(found))  # it does not run
        elif self._place is not None:
            _check_free(self._place)
        if self._options.resume:
            self._notify("there is nothing to resume, so all rows run")
        return None

    def _claim_results(self) -> None:
        """Archive the results of another batch in the same file. Raises as `_find_earlier`."""
        if self._place is None:
            return
        found = self._store.find(self._place, self._bundle_name, self._source.describe())
        if found is None and not self._is_resumed:
            _check_free(self._place)
        elif found is not None and found.id != self.record.id:
            self._store.archive(found)

    def _open(self) -> None:
        """Take over the results of an earlier run, or start with an empty table."""
        image = self._backend.prepare(self._bundle)
        identity = shared_identity(self._request, self._bundle.descriptor, image)
        before = self.record
        output = self._options.output
        with self._store.locked():  # another batch with the same results may start, too
            self._claim_results()
            self._update(
                bundle=self._bundle_name,
                name=self._bundle.descriptor.name,
                owner=current_process(),
                ended=None,
                source=self._source.describe(),
                results=str(self.table.path),
                output="" if output is None else str(output.absolute()),
                written_output=str(output or ""),
                total=self.checked.total,
                invalid=len(self.checked.invalid),
                attempt=before.attempt + self._options.rerun_failed,
                identity=identity,
            )
        if not self._is_resumed:
            self.table.replace(())
            return
        dropped = self._store.folder(before.id) / "dropped.jsonl"
        found = Resumption(
            table=self.table,
            dropped=dropped,
            name_of=self.name_of,
            notify=self._notify,
            rerun_failed=self._options.rerun_failed,
            output=self._output,
            before=before.written_output,
            new_output=self.record.output != before.output,
        ).merge(self._all_identified())
        self._done, self._counts = found.done, found.counts
        changed = changes(before.identity, identity)
        for note in resumed(before.short_id, found, self.checked.total, changed, dropped):
            self._notify(note)

    def _update(self, **changes: Any) -> None:
        """Save the record with its changes, unless the batch was released."""
        with self._guard:
            if self._lock is not None:
                nodes = dict(self._backend.nodes()) if self._in_flight else {}
                self.record = self.record.replace(counts=dict(self._counts), nodes=nodes, **changes)
                self._store.save(self.record)
                self._saved = time.monotonic()

    def close(self) -> None:
        """Stop the rows in flight, and release the batch for other processes. Idempotent."""
        if self._lock is None:
            return
        try:
            if self._in_flight:  # the iteration was left
                self.stop()
            self._update()
        finally:
            with self._guard:
                os.close(self._lock)
                self._lock = None
            self._backend.close()

    # -- state -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.checked.total

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of ended rows by state."""
        return dict(self._counts)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the bundle."""
        return self._bundle.descriptor

    @property
    def is_complete(self) -> bool:
        """Whether all rows have ended."""
        return sum(self._counts.values()) == self.checked.total

    @property
    def is_stopping(self) -> bool:
        """Whether no more rows are started, because of `pause` or `stop`."""
        return self._stopped or self._paused

    def progress(self) -> BatchCounts:
        """Return the numbers of rows by state. Thread-safe."""
        backend = self._backend
        return BatchCounts(self.checked.total, dict(self._counts), backend.states(), backend.nodes())

    def summary(self) -> dict[str, Any]:
        """Return what became of the batch, as plain JSON."""
        return {
            "batch": self.record.id,
            "state": "ended" if self.is_complete else "stopped",
            "total": self.checked.total,
            "counts": self.counts,
            "invalid": len(self.checked.invalid),
            "results": str(self.table.path),
            "csv": str(self.table.csv),
            "output": self.record.output,
            "failures": list(self._failures),
            **self.reuse.fields(),
            **self.warnings.fields(),
        }

    def name_of(self, row: Row) -> str:
        """Return the id of a row, or its zero-padded number."""
        return row_name(row, self.checked.total)

    # -- run -------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[RowResult]:
        """Run the rows that have not ended, and yield the result of each when it is in the table.

        Raises `LocalrunError` if no more rows can run, e.g. without an engine.
        """
        try:
            if self.is_stopping:
                return
            self._open()
            self.is_open = True
            yield from self._run()
        finally:
            self.close()

    def _identified(self) -> Iterator[Row]:
        """Yield the rows with their digests; an invalid one without."""
        descriptor = self._bundle.descriptor
        record, cache = self.record, self._cache
        identifier = Identifier(record.id, record.identity, self._request, descriptor, cache)
        for row in self._source.rows(descriptor):
            yield row if row.number in self.checked.invalid else identifier.identify(row)

    def _all_identified(self) -> Iterator[Row]:
        """Yield the rows as `_identified`, but raise `TaskKilled` if the batch is stopped in between."""
        for row in self._identified():
            if self._stopped:
                raise TaskKilled("stopped before the first row started", remedy="run it again")
            yield row

    def _run(self) -> Iterator[RowResult]:
        for row in self._identified():
            if row.number in self._done:
                continue
            if row.number in self.checked.invalid:
                yield self._keep(refused(row, InputsError(self.checked.invalid[row.number])))
                continue
            while self._in_flight >= self._backend.slots:
                yield from self._next(None)
            if self.is_stopping:
                break
            self._backend.start(row, self.record.attempt)
            self._in_flight += 1
            yield from self._next(0)
        while self._in_flight:
            yield from self._next(None)
        if self.is_complete:
            self._update(ended=time.time())

    def _next(self, timeout: float | None) -> Iterator[RowResult]:
        result = self._backend.next(timeout)
        if result is None:
            if timeout is None and self._backend.nodes() != self.record.nodes:
                self._update()
            return
        self._in_flight -= 1
        if self._stopped and result.state is TaskState.KILLED:  # it runs again when the batch is resumed
            return
        if not result.node and result.cause in _NO_ROW_CAN_RUN:
            self.stop()  # this row and those in flight run again
            remedy = "correct this, and continue with --resume"
            raise LocalrunError(
                f"the batch was stopped: {result.message}", remedy=remedy, cause=Cause[result.cause]
            )
        yield self._keep(result)

    def _keep(self, result: RowResult) -> RowResult:
        """Copy the outputs of a row, and write its result to the table."""
        name = self.name_of(result.row)
        try:
            if self._output is not None:
                result = self._output.deliver(result, name, self._notify)
            self.table.add(line_of(result, name))
        except LocalrunError as error:  # the other rows are stopped
            error.remedy = f"{error.remedy}; then continue with --resume"
            raise
        self._counts[result.state] += 1
        self.reuse.add(result)
        self.warnings.add(result, name)
        if not result.is_finished:
            failure = {"row": result.row.number, "id": name, "state": str(result.state)}
            self._failures.append({**failure, "cause": result.cause, "message": result.message})
        if time.monotonic() - self._saved > _SAVE_INTERVAL:
            self._update()
        return result

    def pause(self) -> None:
        """Start no more rows; those in flight continue. Safe in another thread than the iteration."""
        self._paused = True

    def stop(self, grace: float | None = None) -> None:
        """Stop the rows in flight and start no more. Safe in another thread than the iteration.

        A batch that is resumed runs the stopped rows again. `grace` is as in `Backend.cancel`. Has no effect
        on a closed batch.
        """
        if self._lock is None:
            return
        try:
            with self._guard:
                if not self._stopped:
                    self._stopped = True
                    self._update(attempt=self.record.attempt + 1)
        finally:
            self._backend.cancel(grace)


def _check_free(place: Path) -> None:
    """Raise `UsageError` if the results would replace a file."""
    for path in (place, place.with_suffix(".csv")):
        if os.path.lexists(path):
            message = f"{path} exists, and is not the results of a batch of this folder"
            raise UsageError(message, remedy="delete it, or choose another name with --results")


def _invalid_rows(checked: CheckedRows) -> InputsError:
    count = format_count(len(checked.invalid), "invalid row", grouped=True)
    remedy = "fix the rows listed, or run the others with --skip-invalid"
    return InputsError(f"{count} of {checked.total:,}", remedy=remedy, problems=checked.problems)
