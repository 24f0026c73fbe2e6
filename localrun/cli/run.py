"""`localrun run`: run one task in the foreground, from its bundle to its outputs."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_cause
from localrun.cli.iexec_options import pop_iexec_inputs, with_iexec_options
from localrun.cli.remote import remote, run_remotely
from localrun.cli.run_options import Choices, with_run_options
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.cli.sources import BundleSource, TaskSource
from localrun.console.display.base import display_for
from localrun.console.display.event_queue import EventQueue
from localrun.console.streams import print_json
from localrun.errors import Cause, LocalrunError, TaskKilled, UsageError

if TYPE_CHECKING:
    from localrun.api.download import OutputCopier
    from localrun.app import App
    from localrun.cli.outputs import CopyResult
    from localrun.platforms.iexec import IexecInputs
    from localrun.task.active import ActiveTask
    from localrun.task.events import Event
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


@click.command()
@click.argument("bundle", type=options.PATH_TEXT)
@with_run_options
@with_iexec_options
@remote
@options.flag("--watch", help="Run again when files of the task change, and show the differences.")
@pass_context
def command(context: CliContext, /, bundle: str, **given: Any) -> int:
    """Run the task of BUNDLE and show its outputs.

    BUNDLE is a zip or folder with a descriptor and an image archive, a folder with a descriptor and a
    Dockerfile, or a descriptor with --image.
    """
    iexec, url = pop_iexec_inputs(given, context.settings), given.pop("remote")
    watch, choices = given.pop("watch"), Choices.of(given)
    if watch:
        return _watch(context, BundleSource(bundle, iexec), choices, remote=url is not None)
    if url is not None:
        return _run_remotely(context, url, bundle, iexec, choices)
    return run_in_foreground(context, BundleSource(bundle, iexec), choices)


def _watch(context: CliContext, source: BundleSource, choices: Choices, *, remote: bool) -> int:
    from localrun.cli.run_watch import run_and_watch

    others = {"--remote": remote, "--json": choices.as_json, "--detach": choices.detach}
    others["--shell-on-failure"] = choices.shell_on_failure
    if given := [name for name, is_given in others.items() if is_given]:
        raise UsageError(f"--watch and {', '.join(given)} exclude each other", remedy="omit one of them")

    def run() -> tuple[TaskRecord | None, bool]:
        return _run_once(context, source, choices)[1:]

    return run_and_watch(context, source.name, choices, run)


def _run_remotely(
    context: CliContext, url: str, bundle: str, iexec: IexecInputs | None, choices: Choices
) -> int:
    if iexec is not None:
        raise UsageError("--remote cannot run an iExec app", remedy="omit --profile iexec, or --remote")
    return run_remotely(context, url, BundleSource(bundle, None).given(choices, context.settings), choices)


def run_in_foreground(context: CliContext, source: TaskSource, choices: Choices) -> int:
    """Run a task in the foreground, or submit it with --detach, and return the exit code."""
    if choices.detach:
        from localrun.cli.detach import submit_detached

        return submit_detached(context, [source], choices)
    code, record, _ = _run_once(context, source, choices)
    if choices.shell_on_failure and record is not None and record.cause not in (None, "KILLED"):
        from localrun.cli.shell import open_after_failure

        open_after_failure(context, record)
    return code


def _run_once(
    context: CliContext, source: TaskSource, choices: Choices
) -> tuple[int, TaskRecord | None, bool]:
    """Return the exit code, the record if there is a task, and whether a signal stopped the run."""
    with SignalHandler() as signals:
        run = _ForegroundRun(context, source, choices, signals)
        code = _execute(run, context, source.name, as_json=choices.as_json)
    return code, run.record, signals.count > 0


def _execute(run: _ForegroundRun, context: CliContext, name: str, *, as_json: bool) -> int:
    try:
        return run.execute()
    except Interrupted:
        failure: LocalrunError = TaskKilled("stopped before the task started", remedy="run it again")
    except LocalrunError as error:
        failure = error
    code = context.report(failure)
    if as_json:
        from localrun.console.results import failure_fields

        print_json(failure_fields(failure, name))
    return code


class _ForegroundRun:
    """One run in the foreground."""

    def __init__(
        self, context: CliContext, source: TaskSource, choices: Choices, signals: SignalHandler
    ) -> None:
        self._context = context
        self._source = source
        self._choices = choices
        self._signals = signals
        self._display = display_for(sys.stderr, context.environ, quiet=choices.quiet)
        self._events = EventQueue(on_idle=self._display.refresh)
        self._copier: OutputCopier | None = None
        self._reuse: dict[str, Any] = {}  # JSON fields about a reused result
        self.record: TaskRecord | None = None  # once the task has ended

    def execute(self) -> int:
        """Submit the task, follow it, print its outputs and return the exit code."""
        with ExitStack() as stack:
            self._display.start(self._source.name)
            try:
                app = self._open(stack)
                task = self._submit(app)
                stack.enter_context(task.workspace.reading())
                self._context.on_imported()
                record = self._follow(app, task)
            finally:
                self._display.finish(self._events.omitted)
            self.record = record
            return self._close(record, task.workspace)

    def _open(self, stack: ExitStack) -> App:
        with self._signals.interruptible():
            app = stack.enter_context(self._context.app())
            app.connect_in_background()
            if self._choices.output is not None:
                from localrun.api.download import OutputCopier

                self._copier = OutputCopier(
                    self._choices.output,
                    app.settings.disk_stop,
                    in_image=self._choices.in_image,
                    extensions=self._choices.extensions,
                )
                stack.callback(self._copier.rollback)
        return app

    def _submit(self, app: App) -> ActiveTask:
        try:
            with self._signals.interruptible():
                request = self._source.request(app, self._choices, self._display.notify)
                from localrun.manager.option_hints import option_hints

                with option_hints(options.names_of_command):
                    task = app.manager.submit(request, self._on_event, defer_signals=self._signals.deferred)
                if request.reuse != "no":
                    from localrun.console.results import reuse_fields

                    self._reuse = reuse_fields(request.reuse, task)
                return task
        except Interrupted:
            started = app.manager.get_all_active_tasks()
            if not started:
                raise
            self._signals.requeue()
            return started[0]

    def _on_event(self, event: Event) -> None:
        """Show downloads at once, which this thread waits for, and keep all other events for `_follow`."""
        is_download = event.kind == "progress" and threading.current_thread() is threading.main_thread()
        (self._display.show if is_download else self._events.put)(event)

    def _follow(self, app: App, task: ActiveTask) -> TaskRecord:
        with self._signals.on_signal(lambda number: self._stop(app, task, number)):
            sweep = threading.Thread(target=self._sweep, args=(app,), name="sweep")
            end = threading.Thread(target=self._await, args=(app, task), name="end")
            end.start()
            for event in self._events:
                self._display.show(event)
                if event.data.get("state") == "RUNNING" and not sweep.ident:  # RUNNING again after a retry
                    sweep.start()
            for thread in (sweep, end):
                if thread.ident:
                    thread.join()
        if not task.record.state.is_final:
            message = f"internal error: task {task.short_id} never reached a final state"
            hint = "this is a bug in localrun; please report it with the output above"
            raise LocalrunError(message, remedy=hint)
        return task.record

    def _await(self, app: App, task: ActiveTask) -> None:
        """Close the event queue once the task is released, even if a bug suppressed its final event."""
        try:
            app.manager.wait(task)
        finally:
            self._events.close()

    def _stop(self, app: App, task: ActiveTask, number: int) -> None:
        """Stop the task. Called in a new thread for each signal."""
        first = number == 1
        self._display.notify("stopping (press Ctrl+C again to kill)" if first else "killing")
        try:
            app.manager.kill(task, None if first else 0.0)
        except LocalrunError as error:
            self._display.notify(f"cannot stop the container: {error.message}")

    def _sweep(self, app: App) -> None:
        """End the tasks of dead processes while the container runs and this process is idle."""
        try:
            ended = app.recovery.end_orphans()
            app.supervise_others()
        except (LocalrunError, OSError) as error:
            self._display.notify(f"warning: cannot end the tasks of dead processes: {error}")
            return
        for record in ended:
            self._display.notify(f"ended task {record.short_id} of a dead process: {record.state}")

    def _close(self, record: TaskRecord, workspace: Workspace) -> int:
        from localrun.console.report import report_task

        code: int = code_for_cause(Cause[record.cause] if record.cause else None)
        copied = self._copy_outputs(record, workspace)
        if copied is not None and copied.code:
            interrupted = copied.code == ExitCode.INTERRUPTED
            code = copied.code if interrupted else code or ExitCode.ENGINE_OR_HOST
        self._print(record, copied, workspace)
        notes = list(self._source.notes(record))
        if record.replication is not None and not self._choices.quiet:
            from localrun.console.replicas import fact_lines

            notes += fact_lines(record)
        for note in notes:
            self._display.notify(note)
        if record.cause:
            report_task(record, self._context.environ)
        return code

    def _copy_outputs(self, record: TaskRecord, workspace: Workspace) -> CopyResult | None:
        copier = self._copier
        if copier is None:
            return None
        from localrun.cli.outputs import copy_outputs

        task, notify = (record, workspace), self._display.notify
        return copy_outputs(self._context, lambda: copier, task, self._signals, notify)

    def _print(self, record: TaskRecord, copied: CopyResult | None, workspace: Workspace) -> None:
        from localrun.console import results

        outputs = copied.outputs if copied else record.outputs
        folders = [workspace.path, *([self._copier.folder] if self._copier else [])]
        if self._choices.as_json:
            problems = {"copy_problems": copied.problems} if copied and copied.problems else {}
            print_json({**results.as_fields(record), "outputs": outputs, **problems, **self._reuse})
        elif self._choices.quiet:
            results.print_outputs(outputs, folders)
        else:
            results.print_result(record, outputs, folders, self._context.environ)
