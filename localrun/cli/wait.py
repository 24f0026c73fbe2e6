"""`localrun wait`: the end of tasks, whichever process carries them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_cause, code_for_error, worst
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.display.base import display_for
from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import is_terminal, print_err, print_out
from localrun.errors import Cause, LocalrunError, Problem, TaskNotFound
from localrun.task.record import short_id

if TYPE_CHECKING:
    from localrun.api import Task
    from localrun.app import App
    from localrun.task.record import TaskRecord
    from localrun.task.states import TaskState

_REPORTS = 5  # failures of many tasks that are told at length


@click.command()
@options.task_ids
@click.option("-a", "--all", "everything", is_flag=True, help="Every task of this folder that has not ended.")
@click.option("--timeout", type=options.DURATION, metavar="TIME", help="Wait no longer: 90s, 10m, 1h.")
@options.as_json
@click.option("-q", "--quiet", is_flag=True, help="Show results and errors, nothing else.")
@pass_context
def command(
    context: CliContext,
    task_ids: tuple[str, ...],
    *,
    everything: bool,
    timeout: float | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Wait until the tasks ID... have ended; the exit code is that of the task, of several the worst.

    One task is shown as `run` shows it, several in one line. A task whose process died is carried on here.
    Ctrl+C ends the waiting, not the tasks.
    """
    options.check_selection(task_ids, everything)
    from localrun.api.apps import using

    with SignalHandler() as signals, context.app(on_exit="leave") as app, using(app):
        tasks = _all(app) if everything else _named(app, task_ids)
        if not tasks and not quiet:
            print_err("no active tasks in this folder")
        waiting = _Waiting(context, app, signals, tasks, quiet=quiet)
        context.on_imported()
        code = waiting.through(timeout)
        if as_json:
            waiting.print_json(one=len(task_ids) == 1)
        else:
            waiting.print()
        return waiting.tell_ends() if code is None else code


def _named(app: App, task_ids: Sequence[str]) -> list[Task]:
    """A handle for each, once. Raises `TaskNotFound` with every one that is not there."""
    from localrun.api import Task

    found: dict[str, Task] = {}
    missing: list[TaskNotFound] = []
    for name in task_ids:
        try:
            task = Task(name, app.settings.home)
            found[task.id] = task
        except TaskNotFound as error:
            missing.append(error)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        problems = [Problem("", error.message, error.remedy) for error in missing]
        raise TaskNotFound("some tasks are not there", remedy="correct what is listed", problems=problems)
    return list(found.values())


def _all(app: App) -> list[Task]:
    from localrun.api import Task

    return [Task(record.id, app.settings.home) for record in app.manager.active_tasks if not record.replica]


@dataclass
class _Waiting:
    """The waiting for some tasks, and what came of it."""

    context: CliContext
    app: App
    signals: SignalHandler
    tasks: list[Task]
    _: KW_ONLY
    quiet: bool
    errors: dict[str, LocalrunError] = field(default_factory=dict)
    shown: bool = False  # whether the output of the one task was shown as it came

    def through(self, timeout: float | None) -> int | None:
        """Wait; the exit code when the waiting was broken off."""
        wait = self._one if len(self.tasks) == 1 else self._several
        try:
            with self.signals.interruptible():
                wait(timeout)
        except Interrupted:
            self._tell_left("the waiting was ended")
            return ExitCode.INTERRUPTED
        except TimeoutError as error:
            self._tell_left(str(error))
            return ExitCode.TIMEOUT
        return None

    # -- waiting ---------------------------------------------------------------------------------

    def _one(self, timeout: float | None) -> None:
        from localrun.api.follow import follow

        task = self.tasks[0]
        if task.is_terminal:
            return
        display = display_for(sys.stderr, self.context.environ, quiet=self.quiet)
        self.shown = not self.quiet
        display.start(task.info.name or task.id)
        try:
            place = self.app.store.open(task.id)
            follow(place, task.end(), display.show, timeout=timeout, defer_signals=self.signals.deferred)
        finally:
            display.finish()
        self._end(task)

    def _several(self, timeout: float | None) -> None:
        from localrun.api.wait import as_completed

        with self._progress() as tell:
            for task in as_completed(self.tasks, timeout):
                tell(task, self._end(task))

    def _end(self, task: Task) -> TaskState:
        """The state of a task whose waiting is over; when it has not ended, why is kept."""
        try:
            return task.wait()
        except LocalrunError as error:
            self.errors[task.id] = error
            return task.status

    @contextmanager
    def _progress(self) -> Iterator[Callable[[Task, TaskState], None]]:
        total, count = len(self.tasks), 0

        def tell(task: Task, state: TaskState) -> None:
            nonlocal count
            count += 1
            print_err(f"[{short_id(task.id)}] {state} ({count} of {total})")

        if self.quiet:
            yield lambda _task, _state: None
        elif is_terminal(sys.stderr, self.context.environ):
            from localrun.console.progress import wait_progress

            with wait_progress(total) as count_up:
                yield lambda _task, state: count_up(state)
        else:
            yield tell

    # -- telling ---------------------------------------------------------------------------------

    def _tell_left(self, why: str) -> None:
        """Say why nobody waits any more, and what becomes of the tasks."""
        left = [task.info for task in self.tasks if not task.is_terminal]
        paused = [record for record in left if self._pauses(record)]
        going = [record for record in left if record not in paused]
        goes = f"{_names(going)} on" if going else ""
        print_err("; ".join(filter(None, (why, goes))))
        if going:
            print_err(f"  wait again: localrun wait {short_id(going[0].id) if len(going) == 1 else '--all'}")
        if paused:
            print_err(
                f"{_names(paused)} on when somebody waits again: localrun wait {short_id(paused[0].id)}"
            )

    def _pauses(self, record: TaskRecord) -> bool:
        """Whether it was carried on here, and has no container that goes on by itself."""
        return record.state != "RUNNING" and self.app.manager.get_task(record.id) is not None

    def tell_ends(self) -> int:
        """Say why tasks did not finish; the exit code."""
        codes = [self._code(task) for task in self.tasks]
        bad = [task for task, code in zip(self.tasks, codes, strict=True) if code != ExitCode.FINISHED]
        for task in bad[:_REPORTS]:
            self._report(task)
        if len(bad) > _REPORTS:
            print_err(f"{len(bad) - _REPORTS} more did not finish; `localrun list` shows them")
        return worst(codes)

    def _code(self, task: Task) -> int:
        error = self.errors.get(task.id)
        if error is not None:
            return code_for_error(error)
        cause = task.info.cause
        return code_for_cause(Cause[cause] if cause else None)

    def _report(self, task: Task) -> None:
        from localrun.console.report import report_error, report_task

        error = self.errors.get(task.id)
        if error is not None:
            report_error(error, self.context.environ)
            return
        record = task.info
        if len(self.tasks) > 1:
            print_err(f"[{record.short_id}]")
        report_task(record, self.context.environ)
        if not self.shown and record.cause != Cause.KILLED.value and record.replication is None:
            _quote(task, record)

    def print(self) -> None:
        """The results: of one task as `run` has them, of several a line each."""
        from localrun.console import results

        records = [task.info for task in self.tasks]
        if len(records) > 1:
            for record in records:
                print_out(f"{record.short_id} {record.state}")
        elif records and records[0].state.is_final:
            record, folder = records[0], self.app.store.open(records[0].id).outputs
            if self.quiet:
                results.print_outputs(record.outputs, [folder])
            else:
                results.print_result(record, record.outputs, [folder], self.context.environ)

    def print_json(self, *, one: bool) -> None:
        """The record of the one task that was named, else a list of records."""
        from localrun.console.results import as_fields, print_json

        fields = [as_fields(task.info) for task in self.tasks]
        print_json(fields[0] if one else fields)


def _names(records: Sequence[TaskRecord]) -> str:
    """`the task 3f9c2b1a goes`, `3 tasks go`."""
    return f"the task {records[0].short_id} goes" if len(records) == 1 else f"{len(records)} tasks go"


def _quote(task: Task, record: TaskRecord) -> None:
    """The end of the log, where the message has it not."""
    from localrun.runner.diagnosis import TAIL_LINES, format_log_tail

    quoted = format_log_tail(task.logs(TAIL_LINES))
    if quoted not in record.message:
        print_err("  " + escape_lines(quoted.removeprefix("; ")))
