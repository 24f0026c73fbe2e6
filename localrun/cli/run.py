"""`localrun run`: run one task in the foreground, from its bundle to its outputs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_cause
from localrun.cli.iexec_options import pop_iexec_inputs, with_iexec_options
from localrun.cli.pipes import notice_of_pipe
from localrun.cli.remote import remote, run_remotely
from localrun.cli.selection import with_metadata
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.display.base import display_for
from localrun.console.display.event_queue import EventQueue
from localrun.console.streams import print_json
from localrun.errors import Cause, LocalrunError, TaskKilled, UsageError

if TYPE_CHECKING:
    from localrun.api.download import OutputCopier
    from localrun.app import App
    from localrun.cli.outputs import CopyResult
    from localrun.manager.request import Request
    from localrun.platforms.iexec import IexecInputs
    from localrun.settings import Settings
    from localrun.task.active import ActiveTask
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The options of `run` and `rerun`. `options` are the given fields of `RunOptions`."""

    assignments: tuple[str, ...]
    inputs: Path | None
    output: Path | None
    in_image: bool
    extensions: bool
    as_json: bool
    quiet: bool
    detach: bool
    options: dict[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Choices:
        own = {name: given[name] for name in cls.__annotations__ if name in given}
        options.check_copy_options(own["output"], in_image=own["in_image"], extensions=own["extensions"])
        rest = {key: value for key, value in given.items() if key not in own}
        own["assignments"] += rest.pop("regions", ())
        build = options.pop_build_fields(rest)
        if mounts := rest.pop("bind_mounts", ()):
            rest["bind_mounts"] = list(mounts)
        rest["metadata"] = dict(rest["metadata"])
        return cls(**own, options={key: value for key, value in rest.items() if value is not None} | build)

    def named_inputs(self) -> dict[str, Any]:
        """Return the inputs of --inputs as fields of a request. Raises `InputsError` for an invalid file."""
        from localrun import values

        if self.inputs is None:
            return {"values": {}}
        if self.inputs.is_dir():
            return {"inputs_folder": self.inputs}
        with notice_of_pipe(self.inputs):
            return {"values": values.load_values(self.inputs)}


class TaskSource(Protocol):
    """The source of a task, a bundle or an earlier task. `name` is for display."""

    name: str

    def request(self, app: App, choices: Choices, notify: Callable[[str], None]) -> Request:
        """Return the request to submit; `notify` displays a note. Raises `LocalrunError` if it is invalid."""

    def notes(self, record: TaskRecord) -> Iterable[str]:
        """Yield notes about an ended task that its result does not show."""


with_run_options = options.combine(
    click.option(
        "-i",
        "--input",
        "assignments",
        type=options.RAW,
        metavar="NAME=VALUE",
        multiple=True,
        shell_complete=options.completer("inputs"),
        help="Set an input; NAME=@FILE reads a file, repeat NAME for an array.",
    ),
    click.option(
        "--inputs",
        type=options.PATH,
        metavar="FILE|DIR",
        help="Read inputs from a JSON or YAML file, or a folder such as examples/inputs.",
    ),
    click.option(
        "--region",
        "regions",
        type=options.REGION,
        metavar="IMAGE=@FILE",
        multiple=True,
        help="Crop an image to an annotation, e.g. image=@annotation.geojson.",
    ),
    options.output,
    options.in_image,
    options.extensions,
    options.image,
    click.option("--timeout", type=options.DURATION, help="Time limit, e.g. 90s, 10m or 1h."),
    click.option(
        "--cpus", type=options.CPUS, help="CPUs to reserve, e.g. 0.5.  [default: from the descriptor]"
    ),
    click.option(
        "--memory",
        type=options.MEMORY,
        help="Memory limit, e.g. 512Mi or 2Gi.  [default: from the descriptor]",
    ),
    click.option("--gpus", type=options.COUNT_OR_ZERO, help="GPUs to reserve; 0 for none."),
    click.option(
        "--network/--no-network",
        default=None,
        help="Allow or block network access.  [default: from the descriptor]",
    ),
    options.flag("--writable-inputs", default=None, help="Mount the inputs writable (as copies)."),
    options.flag("--copy-inputs", default=None, help="Copy input files instead of mounting them."),
    options.mounts,
    options.flag("--hardened", default=None, help="Drop all capabilities; mount the root read-only."),
    click.option(
        "--pull",
        type=click.Choice(["never", "missing", "always"]),
        help="When to pull the image of --image.  [default: missing]",
    ),
    options.build_options,
    click.option(
        "--retries",
        type=options.COUNT_OR_ZERO,
        help="Rerun up to COUNT times if the container is lost.  [default: 0]",
    ),
    click.option("--replicas", type=options.COUNT, help="Run COUNT varied replicas and compare the outputs."),
    click.option(
        "--agree", type=options.COUNT, help="Replicas that must give the same result.  [default: all]"
    ),
    with_metadata,
    options.flag("-d", "--detach", help="Submit the task, print its ID and return."),
    options.as_json,
    options.quiet,
)


@click.command()
@click.argument("bundle", type=options.PATH_TEXT)
@with_run_options
@with_iexec_options
@remote
@pass_context
def command(context: CliContext, /, bundle: str, **given: Any) -> int:
    """Run the task of BUNDLE and show its outputs.

    BUNDLE is a zip or folder with a descriptor and an image archive, a folder with a descriptor and a
    Dockerfile, or a descriptor with --image.
    """
    iexec, url = pop_iexec_inputs(given, context.settings), given.pop("remote")
    if url is not None:
        return _run_remotely(context, url, bundle, iexec, Choices.of(given))
    return run_in_foreground(context, _BundleSource(bundle, iexec), Choices.of(given))


def _run_remotely(
    context: CliContext, url: str, bundle: str, iexec: IexecInputs | None, choices: Choices
) -> int:
    if iexec is not None:
        raise UsageError("--remote cannot run an iExec app", remedy="omit --profile iexec, or --remote")
    return run_remotely(context, url, _BundleSource(bundle, None).given(choices, context.settings), choices)


def run_in_foreground(context: CliContext, source: TaskSource, choices: Choices) -> int:
    """Run a task in the foreground, or submit it with --detach, and return the exit code."""
    if choices.detach:
        from localrun.cli.detach import submit_detached

        return submit_detached(context, [source], choices)
    with SignalHandler() as signals:
        try:
            return _ForegroundRun(context, source, choices, signals).execute()
        except Interrupted:
            failure: LocalrunError = TaskKilled("stopped before the task started", remedy="run it again")
        except LocalrunError as error:
            failure = error
        code = context.report(failure)
        if choices.as_json:
            from localrun.console.results import failure_fields

            print_json(failure_fields(failure, source.name))
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
                return app.manager.submit(request, self._events.put, defer_signals=self._signals.deferred)
        except Interrupted:
            started = app.manager.get_all_active_tasks()
            if not started:
                raise
            self._signals.requeue()
            return started[0]

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
            print_json({**results.as_fields(record), "outputs": outputs, **problems})
        elif self._choices.quiet:
            results.print_outputs(outputs, folders)
        else:
            results.print_result(record, outputs, folders, self._context.environ)


class _BundleSource:
    """A new task of a bundle, with the inputs of the command line."""

    def __init__(self, bundle: str, iexec: IexecInputs | None) -> None:
        self.name = bundle
        self._iexec = iexec

    def given(self, choices: Choices, settings: Settings) -> Request:
        """Return the request without the inputs of an iExec app."""
        from localrun.manager.defaults import with_defaults
        from localrun.manager.request import Request

        fields = with_defaults(choices.options, settings)
        inputs = choices.named_inputs()
        return Request(Path(self.name), **inputs, assignments=choices.assignments, **fields)

    def request(self, app: App, choices: Choices, notify: Callable[[str], None]) -> Request:  # noqa: ARG002
        from localrun.manager.request import to_iexec_request

        asked = self.given(choices, app.settings)
        return asked if self._iexec is None else to_iexec_request(asked, self._iexec, self.name)

    def notes(self, record: TaskRecord) -> Iterable[str]:  # noqa: ARG002
        return ()
