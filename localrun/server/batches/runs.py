"""The batches that a server runs: each in a thread, and again after a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from localrun import fs
from localrun.app import App
from localrun.batch.backends import backend_for
from localrun.batch.batch import BatchRun
from localrun.batch.keywords import keyword_remedies
from localrun.batch.options import BatchOptions
from localrun.batch.store import BatchRecord, BatchStore
from localrun.errors import LocalrunError, TaskKilled, UsageError
from localrun.manager.workers import in_parallel
from localrun.server.batches.models import NewBatch
from localrun.server.batches.requests import read_cluster, read_request, read_rows
from localrun.server.bundle_store import BundleStore
from localrun.settings.options import OnExit

_MOST = 8  # batches that run at once; others wait for their turn
_SUBMISSION = "submission.json"

Fields = dict[str, Any]


class SentBatch(msgspec.Struct, frozen=True):
    """A batch as a client has sent it. One that was `cancelled` is not resumed after a restart."""

    sent: Fields
    cancelled: bool = False

    @property
    def assigned_by(self) -> str:
        return str(self.sent.get("assigned_by", ""))


class BatchRuns:
    """Runs batches, and knows those of the folder. Thread-safe.

    Clients may choose one of `clusters`. `on_change` is called after each result.
    """

    def __init__(
        self,
        app: App,
        bundles: BundleStore,
        on_change: Callable[[str, str], None],
        clusters: Sequence[str] = (),
    ) -> None:
        self.store = BatchStore(app.settings.home)
        self._app = app
        self._bundles = bundles
        self._clusters = clusters
        self._on_change = on_change
        self._changed = threading.Condition()  # guards the fields below
        self._active = 0  # batches that have their turn
        self._runs: dict[str, _Run] = {}
        self._errors: dict[str, str] = {}
        self._notes: dict[str, str] = {}  # until the next result
        self._is_closed = False

    # -- reading -------------------------------------------------------------------------------------

    def fields(self, record: BatchRecord) -> Fields:
        """Return a batch as clients see it."""
        run, sent = self._run(record.id), self._submission(record.id)
        if run is not None:
            record = run.batch.record
        elif record.ended is None:  # it may have ended since it was read
            record = self.store.load(record.id) or record
        state: str = "running" if run is not None else self.store.state(record)
        is_resumable = sent is not None and state != "running"
        return {
            "batch_id": record.id,
            "name": record.name,
            "bundle": record.bundle,
            "state": "cancelled" if state == "stopped" and sent is not None and sent.cancelled else state,
            "created": record.created,
            "ended": record.ended,
            "total": len(run.batch) if run is not None else record.total,
            "counts": run.batch.counts if run is not None else record.counts,
            "invalid": record.invalid,
            "nodes": record.nodes if state == "running" else {},
            "source": record.source,
            "results": str(self.results(record)),
            "assigned_by": sent.assigned_by if sent is not None else "",
            "can_cancel": run is not None,
            "can_resume": is_resumable and state == "stopped",
            "can_rerun": is_resumable,
            "error": self._errors.get(record.id),
            "note": self._notes.get(record.id),
            "rate": run.rate if run is not None else None,
        }

    def all_fields(self) -> Iterator[Fields]:
        """Yield all batches of the folder, newest first."""
        return map(self.fields, self.store.newest_first())

    @property
    def running_count(self) -> int:
        """The number of batches that run here."""
        return len(self._runs)

    def results(self, record: BatchRecord) -> Path:
        """Return the results of a batch as JSON Lines."""
        return Path(record.results) if record.results else self.store.results(record.id)

    def submission(self, batch_id: str) -> Fields | None:
        """Return a batch as a client has sent it; None if none has."""
        found = self._submission(batch_id)
        return None if found is None else found.sent

    def _submission(self, batch_id: str) -> SentBatch | None:
        try:
            data = fs.read_regular(self.store.folder(batch_id) / _SUBMISSION)
            return msgspec.json.decode(data, type=SentBatch)
        except (OSError, msgspec.DecodeError):
            return None

    def _run(self, batch_id: str) -> _Run | None:
        with self._changed:
            return self._runs.get(batch_id)

    # -- running -------------------------------------------------------------------------------------

    def create(self, batch_id: str, found: NewBatch) -> BatchRecord:
        """Check all rows and start a batch. Raises `InputsError` with the problems of all rows."""
        return self._start(found, BatchOptions(batch=batch_id, skip_invalid=found.skip_invalid))

    def resume(self, record: BatchRecord, *, rerun_failed: bool = False) -> BatchRecord:
        """Run the rows that have not ended, or also those that did not finish.

        Raises `UsageError` if the batch runs, or was not created over HTTP, and as `create`.
        """
        sent = self._submission(record.id)
        if sent is None:
            raise UsageError(
                f"batch {record.short_id} was not created by a client of a server",
                remedy="resume it with `localrun batch ... --resume`",
            )
        found = NewBatch.model_validate(sent.sent)
        options = BatchOptions(
            batch=record.id, skip_invalid=found.skip_invalid, resume=True, rerun_failed=rerun_failed
        )
        return self._start(found, options)

    def recover(self) -> None:
        """Resume the batches of earlier servers of this folder, in a thread."""
        threading.Thread(target=self._recover, name="batches", daemon=True).start()

    def _recover(self) -> None:
        for record in self.store.newest_first():
            sent = self._submission(record.id)
            if self._is_closed or sent is None or sent.cancelled or self.store.state(record) != "stopped":
                continue
            try:
                self.resume(record)
            except (LocalrunError, OSError, ValueError) as error:  # ValueError: sent to another version
                self._fail(record.id, error)

    def _start(self, found: NewBatch, options: BatchOptions) -> BatchRecord:
        batch = self._open(found, options)
        batch_id, run = batch.record.id, _Run(batch)
        name = f"batch-{batch.record.short_id}"
        run.thread = threading.Thread(target=self._drive, args=(run,), name=name, daemon=True)
        try:
            self._save(batch_id, SentBatch(found.model_dump(mode="json")))
            with self._changed:
                self._runs[batch_id] = run
                self._errors.pop(batch_id, None)
                if self._is_closed:
                    batch.pause()
            run.thread.start()
        except BaseException:
            with self._changed:
                self._runs.pop(batch_id, None)
            batch.close()
            raise
        self._on_change(batch_id, "created")
        return batch.record

    def _open(self, found: NewBatch, options: BatchOptions) -> BatchRun:
        request = read_request(found, self._bundles, self._app.settings)
        source, cluster = read_rows(found), read_cluster(found, self._clusters)

        def notify(note: str) -> None:
            self._notes[options.batch] = note
            self._on_change(options.batch, "progress")

        backend = backend_for(self._app, request, cluster=cluster, jobs=found.jobs, notify=notify)
        with keyword_remedies():
            return BatchRun(self._app, request, source, options, backend=backend, notify=notify)

    def _save(self, batch_id: str, submission: SentBatch) -> None:
        data = msgspec.json.encode(submission)
        fs.write_atomic(str(self.store.folder(batch_id) / _SUBMISSION), data)

    def _drive(self, run: _Run) -> None:
        batch_id = run.batch.record.id
        try:
            with self._turn(run):
                for _ in run.batch:
                    run.ended += 1
                    self._notes.pop(batch_id, None)
                    self._on_change(batch_id, "progress")
        except TaskKilled:  # stopped before the first row started
            pass
        except (LocalrunError, OSError) as error:
            self._fail(batch_id, error)
        finally:
            with self._changed:
                del self._runs[batch_id]
            self._notes.pop(batch_id, None)
            self._on_change(batch_id, "ended")

    @contextmanager
    def _turn(self, run: _Run) -> Iterator[None]:
        """Wait until fewer than `_MOST` batches run, or this one was stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._active < _MOST or run.batch.is_stopping)
            self._active += 1
            run.started = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _stop(self, run: _Run, grace: float | None) -> None:
        run.batch.stop(grace)
        with self._changed:
            self._changed.notify_all()
        run.thread.join()

    def _fail(self, batch_id: str, error: LocalrunError | OSError | ValueError) -> None:
        message = error.message if isinstance(error, LocalrunError) else str(error)
        self._errors[batch_id] = message
        self._on_change(batch_id, "failed")

    # -- stopping ------------------------------------------------------------------------------------

    def cancel(self, record: BatchRecord, grace: float | None = None) -> None:
        """Stop a batch, and return when none of its rows runs. Raises `UsageError` if it does not run."""
        run, sent = self._run(record.id), self._submission(record.id)
        if run is None:
            state = self.store.state(record)
            if state == "running":
                raise UsageError(
                    f"batch {record.short_id} is run by {record.owner_name}",
                    remedy="stop that process with Ctrl+C",
                )
            if state == "ended" or sent is None or sent.cancelled:
                raise UsageError(f"batch {record.short_id} does not run", remedy="nothing to do")
        if sent is not None:
            self._save(record.id, SentBatch(sent.sent, cancelled=True))
        if run is not None:
            self._stop(run, grace)
        self._on_change(record.id, "cancelled")

    def close(self, on_exit: OnExit, grace: float | None = None) -> None:
        """Start no more rows. With `kill`, stop those that run; with `wait`, wait for them.

        The batches are resumed by the next server of the folder.
        """
        with self._changed:
            self._is_closed = True
            runs = list(self._runs.values())
            for run in runs:
                run.batch.pause()
            self._changed.notify_all()
        if on_exit == "kill":
            in_parallel(lambda run: self._stop(run, grace), runs)
        elif on_exit == "wait":
            for run in runs:
                run.thread.join()


class _Run:
    """A batch that runs, and how fast. `ended` counts the rows that have ended since it `started`."""

    def __init__(self, batch: BatchRun) -> None:
        self.batch = batch
        self.thread = threading.current_thread()
        self.started: float | None = None
        self.ended = 0

    @property
    def rate(self) -> float | None:
        """The rows per second since the start; None if there is none yet."""
        if self.started is None or not self.ended:
            return None
        return self.ended / max(0.001, time.monotonic() - self.started)
