"""The start of tasks whose inputs are there, or have come while they waited."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from localrun.descriptor import Descriptor
from localrun.errors import AdmissionError, LocalrunError
from localrun.manager.submission import PreparedTask
from localrun.manager.workers import Workers
from localrun.runner.runner import Runner
from localrun.task.active import ActiveTask
from localrun.task.outcome import Outcome, conclude


class Execution:
    """Runs tasks in threads of `workers`.

    `complete` writes the inputs of a task that has waited for the outputs of others. `run_replicas` runs a
    task with replicas.
    """

    def __init__(
        self,
        workers: Workers,
        runner: Callable[[], Runner],
        complete: Callable[[ActiveTask, Descriptor], None],
        run_replicas: Callable[[PreparedTask], None],
    ) -> None:
        self._workers = workers
        self._runner = runner
        self._write_inputs = complete
        self._run_replicas = run_replicas

    def start(self, prepared: PreparedTask) -> None:
        """Run a task in a new thread. Returns at once, and tasks are queued in the order of the calls."""
        task = prepared.task
        if task.record.needs:
            self._workers.run(task, prepared.lock, lambda: self._complete(prepared))
            return
        runner = self._runner()
        try:
            if task.record.kind != "replicated":
                runner.admission.enqueue(task.id, task.record.resources)
        except AdmissionError as error:  # the reservations are not accessible
            fail = partial(runner.run, task, partial(_raise, error), lambda: None)
            self._workers.run(task, prepared.lock, fail)
            return
        try:
            self._workers.run(task, prepared.lock, lambda: self._execute(prepared))
        except BaseException:  # no memory for a thread
            runner.admission.withdraw(task.id)
            raise

    def start_or_fail(self, start: Callable[[PreparedTask], None], prepared: PreparedTask) -> None:
        """Start a task that has waited. It fails if it cannot be started, e.g. for lack of memory."""
        failure = conclude(prepared.task, partial(start, prepared))
        if failure is not None:
            self._workers.end(prepared.task, prepared.lock, failure.state, **failure.changes)

    def _complete(self, prepared: PreparedTask) -> None:
        """Write the inputs that the task has waited for, and run it."""
        task = prepared.task
        failure = conclude(task, partial(self._write_inputs, task, prepared.descriptor))
        if failure is None:
            self._execute(prepared)
        else:
            task.transition(failure.state, **task.masker.mask_json(failure.changes))

    def _execute(self, prepared: PreparedTask) -> None:
        if prepared.task.record.kind == "replicated":
            self._run_replicas(prepared)
        else:
            self._runner().execute(prepared.task, prepared.descriptor, prepared.source)


def _raise(error: LocalrunError) -> Outcome:
    raise error
