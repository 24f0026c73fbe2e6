"""`localrun wait`: wait for tasks of any process to end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_cause, code_for_error, worst
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.display.base import display_for
from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import is_terminal, print_err, print_json, print_out
from localrun.errors import Cause, LocalrunError, Problem, TaskNotFound
from localrun.task.record import short_id

if TYPE_CHECKING:
    from localrun.api import Task
    from localrun.app import App
    from localrun.task.record import TaskRecord
    from localrun.task.states import TaskState

_MAX_REPORTS = 5  # failures to report in full


@click.command()
@options.task_ids
@options.flag("-a", "--all", "everything", help="Wait for all active tasks of this folder.")
@click.option("--timeout", type=options.DURATION, help="Stop waiting after this time, e.g. 90s, 10m or 1h.")
@options.as_json
@options.quiet
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
    """Wait for the tasks ID... to end. The exit code is that of the task, or the worst of multiple tasks.

    One task is shown like `run` does, multiple tasks as one line. A task whose process has died is resumed
    here. Ctrl+C stops waiting, not the tasks.
    """
    options.check_selection(task_ids, everything)
    from localrun.api import using

    with SignalHandler() as signals, context.app(on_exit="leave") as app, using(app):
        named: Sequence[str] = task_ids
        if everything:
            named = [record.id for record in app.manager.active_tasks if not record.replica]
        tasks = _tasks(app, named)
        if not tasks and not quiet:
            print_err("no active tasks in this folder")
        as_list = len(task_ids) != 1
        return wait_for_tasks(
            context, app, signals, tasks, timeout, quiet=quiet, as_json=as_json, as_list=as_list
        )


def wait_for_tasks(
    context: CliContext,
    app: App,
    signals: SignalHandler,
    tasks: list[Task],
    timeout: float | None = None,
    *,
    quiet: bool,
    as_json: bool,
    as_list: bool,
) -> int:
    """Wait for tasks, print their results, and return the worst exit code. `as_list` is for JSON."""
    waiting = _Waiting(context, app, signals, tasks, quiet=quiet)
    context.on_imported()
    code = waiting.wait(timeout)
    if as_json:
        waiting.print_json(one=not as_list)
    else:
        waiting.print()
    return waiting.report_ends() if code is None else code


def _tasks(app: App, task_ids: Sequence[str]) -> list[Task]:
    """Return the tasks, each once. Raises `TaskNotFound` with every task that does not exist."""
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
        hint = "`localrun list` shows the IDs"
        raise TaskNotFound("some tasks do not exist", remedy=hint, problems=problems)
    return list(found.values())


@dataclass
class _Waiting:
    """The tasks that the command waits for, and their errors."""

    context: CliContext
    app: App
    signals: SignalHandler
    tasks: list[Task]
    _: KW_ONLY
    quiet: bool
    errors: dict[str, LocalrunError] = field(default_factory=dict)
    shown: bool = False  # whether the output of the one task has been shown

    def wait(self, timeout: float | None) -> int | None:
        """Wait for the tasks. Returns an exit code if it was interrupted or timed out."""
        wait = self._wait_for_one if len(self.tasks) == 1 else self._wait_for_all
        try:
            with self.signals.interruptible():
                wait(timeout)
        except Interrupted:
            self._report_left("stopped waiting")
            return ExitCode.INTERRUPTED
        except TimeoutError as error:
            self._report_left(str(error))
            return ExitCode.TIMEOUT
        return None

    def _wait_for_one(self, timeout: float | None) -> None:
        from localrun.api.follow import follow

        task = self.tasks[0]
        if task.is_terminal:
            return
        display = display_for(sys.stderr, self.context.environ, quiet=self.quiet)
        self.shown = not self.quiet
        display.start(task.info.name or task.id)
        try:
            place = self.app.store.open(task.id)
            follow(
                place,
                task.end(),
                display.show,
                timeout=timeout,
                refresh=display.refresh,
                defer_signals=self.signals.deferred,
            )
        finally:
            display.finish()
        self._end(task)

    def _wait_for_all(self, timeout: float | None) -> None:
        from localrun.api.wait import as_completed
        from localrun.console.progress import no_progress, wait_progress

        total = len(self.tasks)
        shows_bar = not self.quiet and is_terminal(sys.stderr, self.context.environ)
        with wait_progress(total) if shows_bar else no_progress() as advance:
            for count, task in enumerate(as_completed(self.tasks, timeout), 1):
                state = self._end(task)
                advance(state)
                if not (shows_bar or self.quiet):
                    print_err(f"[{short_id(task.id)}] {state} ({count} of {total})")

    def _end(self, task: Task) -> TaskState:
        """Return the state of a task after waiting; keep the error if it has not ended."""
        try:
            return task.wait()
        except LocalrunError as error:
            self.errors[task.id] = error
            return task.status

    def _report_left(self, reason: str) -> None:
        """Report why waiting stopped and what happens to the tasks."""
        left = [task.info for task in self.tasks if not task.is_terminal]
        paused = [record for record in left if self._is_paused(record)] if not self.app.hand_over() else []
        active = [record for record in left if record not in paused]
        if active:
            print_err(f"{reason}; {_name(active, 'continues', 'continue')}")
            print_err(f"  wait again: localrun wait {active[0].short_id if len(active) == 1 else '--all'}")
        else:
            print_err(reason)
        if paused:
            print_err(f"{_name(paused, 'is', 'are')} paused; `localrun wait {paused[0].short_id}` resumes it")

    def _is_paused(self, record: TaskRecord) -> bool:
        """Return whether the task was resumed here and has no running container."""
        return record.state != "RUNNING" and self.app.manager.get_task(record.id) is not None

    def report_ends(self) -> int:
        """Report the tasks that did not finish and return the exit code."""
        codes = [self._code(task) for task in self.tasks]
        bad = [task for task, code in zip(self.tasks, codes, strict=True) if code != ExitCode.FINISHED]
        for task in bad[:_MAX_REPORTS]:
            self._report(task)
        if len(bad) > _MAX_REPORTS:
            print_err(f"{len(bad) - _MAX_REPORTS} more did not finish; see `localrun list`")
        return worst(codes)

    def _code(self, task: Task) -> int:
        error = self.errors.get(task.id)
        if error is not None:
            return code_for_error(error)
        cause = task.info.cause
        return code_for_cause(Cause[cause] if cause else None)

    def _report(self, task: Task) -> None:
        from localrun.console.report import report_task

        error = self.errors.get(task.id)
        if error is not None:
            self.context.report(error)
            return
        record = task.info
        if len(self.tasks) > 1:
            print_err(f"[{record.short_id}]")
        report_task(record, self.context.environ)
        if not self.shown and record.cause != Cause.KILLED.value and record.replication is None:
            _quote(task, record)

    def print(self) -> None:
        """Print the result of one task like `run` does, of multiple tasks one line each."""
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
        """Print the record of one named task, else a list of records."""
        from localrun.console.results import as_fields

        fields = [as_fields(task.info) for task in self.tasks]
        print_json(fields[0] if one else fields)


def _name(records: Sequence[TaskRecord], singular: str, plural: str) -> str:
    """Return `task 3f9c2b1a continues` or `3 tasks continue`."""
    count = len(records)
    return f"task {records[0].short_id} {singular}" if count == 1 else f"{count} tasks {plural}"


def _quote(task: Task, record: TaskRecord) -> None:
    """Print the end of the log unless the message quotes it."""
    from localrun.runner.diagnosis import TAIL_LINES, format_log_tail

    quoted = format_log_tail(task.logs(TAIL_LINES))
    if quoted not in record.message:
        print_err("  " + escape_lines(quoted.removeprefix("; ")))
