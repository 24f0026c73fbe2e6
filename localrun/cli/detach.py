"""Submit tasks that outlive the command, and optionally wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from localrun.cli import options
from localrun.cli.context import CliContext
from localrun.cli.exit_codes import ExitCode, worst
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import print_err, print_json, print_out
from localrun.errors import LocalrunError, TaskKilled, UsageError

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.cli.run_options import Choices
    from localrun.cli.sources import TaskSource
    from localrun.console.display.plain import ProgressLines
    from localrun.task.events import Event
    from localrun.task.record import TaskRecord

Submit = Callable[["App", "TaskSource"], "TaskRecord"]


def _refuse_output(choices: Choices, message: str) -> None:
    if choices.output is not None:
        raise UsageError(message, remedy="copy them after the end: `localrun outputs ID -o DIR`")


def submit_detached(context: CliContext, sources: Sequence[TaskSource], choices: Choices) -> int:
    """Submit tasks for the supervisor, print their ids and return. The exit code is the worst."""
    _refuse_output(choices, "-o/--output copies outputs, which do not exist yet with --detach")
    if choices.options.get("build_secrets"):
        raise UsageError(
            "--detach excludes --build-secret: the supervisor builds the image, and secrets are not stored",
            remedy="run it without --detach",
        )
    with SignalHandler() as signals, context.app(on_exit="leave") as app:
        submitter = _Submitter(context, signals, choices, start=False)
        records = submitter.submit(app, sources)
        if len(records) > submitter.reused:
            _wake_supervisor(app)
    if choices.as_json:
        from localrun.console.results import as_fields

        fields = [{**as_fields(record), **submitter.reuse.get(record.id, {})} for record in records]
        print_json(fields[0] if len(sources) == 1 and fields else fields)
    else:
        for record in records:
            print_out(record.id)
    return submitter.code


def submit_and_wait(context: CliContext, sources: Sequence[TaskSource], choices: Choices) -> int:
    """Submit tasks that outlive the command and wait for all of them, like `localrun wait`."""
    _refuse_output(choices, "-o/--output copies the outputs of one task only")
    from localrun.api import Task, using
    from localrun.cli.wait import wait_for_tasks

    with SignalHandler() as signals, context.app(on_exit="leave") as app, using(app):
        submitter = _Submitter(context, signals, choices, start=True)
        records = submitter.submit(app, sources)
        app.supervise()
        tasks = [Task(record.id, app.settings.home) for record in records]
        code = wait_for_tasks(
            context, app, signals, tasks, quiet=choices.quiet, as_json=choices.as_json, as_list=True
        )
        return worst([code, submitter.code])


def _wake_supervisor(app: App) -> None:
    from localrun.task import supervision

    if app.supervise():
        supervision.wake(app.settings.home)
    else:
        print_err("warning: no supervisor can be started in this folder; `localrun wait ID` runs the task")


class _Submitter:
    """Submits tasks one after the other. `code` is the worst exit code of those that were refused.

    `reuse` are the JSON fields about reused results by task id, if such were asked for.
    """

    def __init__(self, context: CliContext, signals: SignalHandler, choices: Choices, *, start: bool) -> None:
        self._context = context
        self._signals = signals
        self._choices = choices
        self._start = start
        self._progress: ProgressLines | None = None
        self.code = int(ExitCode.FINISHED)
        self.reuse: dict[str, dict[str, Any]] = {}

    @property
    def reused(self) -> int:
        """The number of tasks that were not created because a result is reused."""
        return sum(bool(fields.get("reused")) for fields in self.reuse.values())

    def submit(self, app: App, sources: Sequence[TaskSource]) -> list[TaskRecord]:
        """Return the records of the submitted tasks. Reports each refused one and continues.

        A signal ends it. Raises the error of the only task.
        """
        found: list[TaskRecord] = []
        for source in sources:
            try:
                with self._signals.interruptible():
                    found.append(self._submit(app, source))
            except Interrupted:
                self._fail(TaskKilled("stopped before the task was submitted", remedy="run it again"))
                break
            except LocalrunError as error:
                if len(sources) == 1:
                    raise
                print_err(f"{source.name}:")
                self._fail(error)
        return found

    def _fail(self, error: LocalrunError) -> None:
        self.code = worst([self.code, self._context.report(error)])

    def _submit(self, app: App, source: TaskSource) -> TaskRecord:
        from localrun.manager.option_hints import option_hints

        request = source.request(app, self._choices, self._notify).replace(detached=True)
        with option_hints(options.names_of_command):
            task = app.manager.submit(
                request, self._show, start=self._start, defer_signals=self._signals.deferred
            )
        from localrun.console.results import reuse_fields

        self.reuse[task.id] = reuse_fields(request.reuse, task)
        for warning in () if task.reused else task.record.warnings:
            self._notify(f"warning: {warning}")
        return task.record

    def _show(self, event: Event) -> None:
        """Show which result is reused, and downloads."""
        if event.data.keys() & {"reused", "not_reused"}:
            self._notify(event.message)
        elif event.kind == "progress" and threading.current_thread() is threading.main_thread():
            from localrun.console.display.plain import ProgressLines

            self._progress = self._progress or ProgressLines()
            for line in self._progress.update(**event.data):
                self._notify(line)

    def _notify(self, note: str) -> None:
        if not self._choices.quiet:
            print_err(escape_lines(note))
