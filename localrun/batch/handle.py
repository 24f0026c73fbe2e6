"""A batch that runs in this process: its results as they come, waiting, and stopping."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

import msgspec

from localrun.api.interruption import explain
from localrun.api.outputs import python_values
from localrun.api.waiting import MAX_SLEEP
from localrun.batch.batch import BatchRun
from localrun.batch.delivery import Notify
from localrun.batch.keywords import as_keywords, keyword_remedies
from localrun.batch.options import BatchOptions
from localrun.batch.results import BatchResults, ResultLine, progress_text, read_lines_after
from localrun.console.streams import print_err
from localrun.errors import LocalrunError, TaskKilled, UsageError

_running: WeakSet[Batch] = WeakSet()


class Batch:
    """A batch that runs in this process, in a thread. Iterate over it for the results as rows end.

    `start` checks the rows and returns the batch. If the process ends before the batch, running tasks
    continue, and the other rows wait for `localrun.map(..., resume=True)`. `notes` are what a person should
    know, e.g. that all rows run again because the image has changed.
    """

    def __init__(self, start: Callable[[BatchOptions, Notify], BatchRun], options: BatchOptions) -> None:
        self._start, self._options = start, options
        self.notes: list[str] = []
        self.run = start(options, lambda note: self.notes.append(as_keywords(note)))
        self._changed = threading.Condition()
        self._is_over = False
        self._ended = 0  # rows, in this run
        self._error: LocalrunError | OSError | None = _bug(self.run)
        self._thread = threading.Thread(
            target=self._drive, name=f"batch-{self.run.record.short_id}", daemon=True
        )
        self._thread.start()
        _running.add(self)

    def __repr__(self) -> str:
        return f"<localrun.Batch {self.run.record.short_id} {self.status}: {self.progress}>"

    def _repr_html_(self) -> str:
        """Return the progress and the failed rows in HTML without scripts, for notebooks; 200 KB at most."""
        from localrun.batch.notebook import batch_html

        return batch_html(self)

    # -- state ---------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id of the batch."""
        return self.run.record.id

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.run)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of ended rows by state."""
        return {str(state): number for state, number in self.run.counts.items()}

    @property
    def status(self) -> str:
        """`running`, `ended` once all rows have ended, or `stopped`."""
        if not self._is_over:
            return "running"
        return "ended" if self.run.is_complete else "stopped"

    @property
    def is_terminal(self) -> bool:
        """Whether no row runs any more."""
        return self._is_over

    @property
    def progress(self) -> str:
        """A line such as `120 of 500 rows ended (118 finished, 2 failed)`."""
        return progress_text(self.counts, len(self))

    @property
    def table(self) -> Path:
        """The path of the results as CSV. The same as JSON Lines has the suffix `.jsonl`."""
        return self.run.table.csv

    # -- results -------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ResultLine]:
        """Yield the result of each row when it has ended, from the first one on.

        Ctrl+C stops the batch. Raises as `wait`.
        """
        position = 0
        while True:
            is_over, ended = self._is_over, self._ended
            for line, after in self._lines(position):
                yield line
                position = after
            if is_over:
                break
            self._wait_until(partial(self._has_more, ended), None)
        self._raise()

    def _has_more(self, ended: int) -> bool:
        return self._is_over or self._ended > ended

    @property
    def results(self) -> BatchResults:
        """The results so far."""
        return BatchResults((line for line, _ in self._lines(0)), self.run.table)

    @property
    def failed(self) -> BatchResults:
        """The results so far of the rows that did not finish."""
        return BatchResults((line for line, _ in self._lines(0) if not line.is_finished), self.run.table)

    def _lines(self, position: int) -> Iterator[tuple[ResultLine, int]]:
        """Yield the results in the table from a position on, and the position behind each."""
        if not self.run.is_open:
            return
        types = {name: one.type for name, one in self.run.descriptor.outputs.items()}
        for line, after in read_lines_after(self.run.table.path, position):
            yield msgspec.structs.replace(line, outputs=python_values(line.outputs, types)), after

    # -- waiting -------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> Self:
        """Block until all rows have ended, or the batch was stopped.

        Ctrl+C stops the batch. Raises `TimeoutError` after `timeout` seconds, and the error that kept the
        other rows from running, e.g. `EngineUnreachable`. A failed row does not raise.
        """
        if not self._wait_until(lambda: self._is_over, timeout):
            raise TimeoutError(
                f"batch {self.run.record.short_id} has not ended after {timeout:g} s: {self.progress}"
            )
        self._raise()
        return self

    def _wait_until(self, is_reached: Callable[[], bool], timeout: float | None) -> bool:
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        with self._stopped_by_interrupt(), self._changed:
            while not is_reached():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(MAX_SLEEP, left))  # see MAX_SLEEP
        return True

    @contextmanager
    def _stopped_by_interrupt(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt as error:
            self.cancel()
            explain(error, f"stopped the batch; {self.progress}; continue with `resume=True`")
            raise

    def _raise(self) -> None:
        if self._is_over and self._error is not None:
            raise self._error

    # -- control -------------------------------------------------------------------------------------

    def cancel(self, grace: float | None = None) -> Self:
        """Stop the rows that run, and start no more; return when nothing of them remains.

        Programs get SIGTERM, and SIGKILL after `grace` seconds (None: LOCALRUN_GRACE, or 10). The results so
        far stay. Has no effect on a batch that has ended.
        """
        if not self._is_over:
            self.run.stop(grace)
            self._thread.join()
        return self

    def resume(self) -> Batch:
        """Run the rows that have not ended. Returns at once; raises `UsageError` if the batch runs."""
        return self._again(rerun_failed=False)

    def rerun_failed(self) -> Batch:
        """Run the rows again that did not finish, also those that never ran. As `resume`."""
        return self._again(rerun_failed=True)

    def _again(self, *, rerun_failed: bool) -> Batch:
        if not self._is_over:
            raise UsageError(
                f"batch {self.run.record.short_id} has not ended", remedy="call `wait()` or `cancel()` first"
            )
        changes: dict[str, Any] = {"batch": self.id, "resume": True, "rerun_failed": rerun_failed}
        return Batch(self._start, msgspec.structs.replace(self._options, **changes))

    def _drive(self) -> None:
        try:
            with keyword_remedies():
                for _ in self.run:
                    with self._changed:
                        self._ended += 1
                        self._changed.notify_all()
            self._error = None
        except TaskKilled:  # stopped before the first row started
            self._error = None
        except (LocalrunError, OSError) as error:
            self._error = error
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()


def _bug(run: BatchRun) -> LocalrunError:
    message = f"internal error: batch {run.record.short_id} has ended unexpectedly"
    return LocalrunError(message, remedy="this is a bug in localrun; report it")


@atexit.register
def _report_unfinished() -> None:
    for batch in list(_running):
        if not batch.is_terminal:
            name = batch.run.record.short_id
            print_err(f"warning: batch {name} has not ended: {batch.progress}; call `wait()` before the end")
