"""`localrun run`: one task, from its bundle to its outputs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_cause, code_for_error
from localrun.cli.iexec_options import pop_iexec_inputs, with_iexec_options
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.display.base import display_for
from localrun.console.display.event_queue import EventQueue
from localrun.errors import Cause, LocalrunError, TaskKilled

if TYPE_CHECKING:
    from localrun.api.download import OutputCopier
    from localrun.app import App
    from localrun.manager.request import Request
    from localrun.platforms.iexec import IexecInputs
    from localrun.task.active import ActiveTask
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a task is to be run, as the options of `run` and `rerun` say. None: not given."""

    assignments: tuple[str, ...]
    inputs: Path | None
    output: Path | None
    image: str | None
    timeout: float | None
    cpus: float | None
    memory: int | None
    gpus: int | None
    network: bool | None
    writable_inputs: bool | None
    hardened: bool | None
    pull: Literal["never", "missing", "always"] | None
    replicas: int | None
    agree: int | None
    build_args: tuple[tuple[str, str], ...]
    as_json: bool
    quiet: bool


class Origin(Protocol):
    """What a task is made of: a bundle, or an earlier task. `name` is for people."""

    name: str

    def request(self, app: App, choices: Choices, say: Callable[[str], None]) -> Request:
        """What to submit; `say` shows a remark. Raises what a wrong bundle or wrong values raise."""

    def remarks(self, record: TaskRecord) -> Iterable[str]:
        """What is to be told of a task that has ended, beside its end."""


_OPTIONS = (
    click.option(
        "-i",
        "--input",
        "assignments",
        metavar="NAME=VALUE",
        multiple=True,
        shell_complete=options.complete_input,
        help="An input; NAME=@FILE takes a file; repeat NAME for an array.",
    ),
    click.option(
        "--inputs", type=click.Path(path_type=Path), metavar="FILE", help="All inputs, as JSON or YAML."
    ),
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Copy the outputs to DIR.",
    ),
    click.option("--image", metavar="REF", help="Use this image of the engine, not the bundle's."),
    click.option(
        "--timeout", type=options.DURATION, metavar="TIME", help="Stop it after TIME: 90s, 10m, 1h."
    ),
    click.option(
        "--cpus", type=options.CPUS, metavar="N", help="Processors, also parts; default: the descriptor's."
    ),
    click.option(
        "--memory", type=options.MEMORY, metavar="SIZE", help="Memory: 512Mi, 2Gi; default likewise."
    ),
    click.option(
        "--gpus", type=click.IntRange(min=0), metavar="N", help="GPUs; 0 runs a GPU task without one."
    ),
    click.option(
        "--network/--no-network", default=None, help="Let it use the network, or not; default likewise."
    ),
    click.option(
        "--writable-inputs", is_flag=True, default=None, help="Let it change (copies of) its inputs."
    ),
    click.option(
        "--hardened", is_flag=True, default=None, help="Drop all capabilities; read-only root file system."
    ),
    click.option(
        "--pull",
        type=click.Choice(["never", "missing", "always"]),
        help="When to fetch the image of --image.  [default: missing]",
    ),
    click.option(
        "--build-arg",
        "build_args",
        type=options.PAIR,
        metavar="N=V",
        multiple=True,
        help="A build argument for the bundle's Dockerfile.",
    ),
    click.option(
        "--replicas",
        type=click.IntRange(min=1),
        metavar="N",
        help="Run it N times, each a little differently, and compare what comes out.",
    ),
    click.option(
        "--agree",
        type=click.IntRange(min=1),
        metavar="K",
        help="How many replicas must give the same; default: all.",
    ),
    options.as_json,
    click.option("-q", "--quiet", is_flag=True, help="Show the outputs and errors, nothing else."),
)


def with_run_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of `Choices`."""
    return reduce(lambda made, option: option(made), reversed(_OPTIONS), function)


@click.command()
@click.argument("bundle", type=click.Path())
@with_run_options
@with_iexec_options
@pass_context
def command(context: CliContext, /, bundle: str, **given: Any) -> int:
    """Run the task of BUNDLE and show its outputs.

    BUNDLE is a .zip or a folder with a descriptor and an image archive, a folder with a descriptor and a
    Dockerfile, or a descriptor together with --image.
    """
    order = pop_iexec_inputs(given)
    return run_in_foreground(context, _OfBundle(bundle, order), Choices(**given))


def run_in_foreground(context: CliContext, origin: Origin, choices: Choices) -> int:
    """Run a task in the foreground, from its submission to its outputs; the exit code."""
    with SignalHandler() as signals:
        try:
            return _Run(context, origin, choices, signals).through()
        except Interrupted:
            error: LocalrunError = TaskKilled("stopped before the task began", remedy="run it again")
        except LocalrunError as refused:
            error = refused
        return _refuse(error, context, origin, choices)


def _refuse(error: LocalrunError, context: CliContext, origin: Origin, choices: Choices) -> int:
    from localrun.console.report import report_error

    report_error(error, context.environ)
    if choices.as_json:
        from localrun.console.results import failure_fields, print_json

        print_json(failure_fields(error, origin.name))
    return code_for_error(error)


class _Run:
    """One run, with all that belongs to it."""

    def __init__(self, context: CliContext, origin: Origin, choices: Choices, signals: SignalHandler) -> None:
        self._context = context
        self._origin = origin
        self._choices = choices
        self._signals = signals
        self._display = display_for(sys.stderr, context.environ, quiet=choices.quiet)
        self._feed = EventQueue()
        self._delivery: OutputCopier | None = None

    def through(self) -> int:
        """All of it; the exit code."""
        with ExitStack() as stack:
            with self._shown():
                app = self._open(stack)
                task = self._submit(app)
                self._context.on_imported()
                record = self._follow(app, task)
            return self._close(record, task.workspace)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        self._display.start(self._origin.name)
        try:
            yield
        finally:
            self._display.finish(self._feed.omitted)

    def _open(self, stack: ExitStack) -> App:
        with self._signals.interruptible():
            app = stack.enter_context(self._context.app())
            app.connect_in_background()
            if self._choices.output is not None:
                from localrun.api.download import OutputCopier

                self._delivery = OutputCopier(self._choices.output)
                stack.callback(self._delivery.rollback)
        return app

    def _submit(self, app: App) -> ActiveTask:
        try:
            with self._signals.interruptible():
                request = self._origin.request(app, self._choices, self._display.notify)
                return app.manager.submit(request, self._feed.put, defer_signals=self._signals.deferred)
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
            for event in self._feed:
                self._display.show(event)
                if event.data.get("state") == "RUNNING":
                    sweep.start()
            for thread in (sweep, end):
                if thread.ident:
                    thread.join()
        if not task.record.state.is_final:
            raise LocalrunError(
                f"localrun itself failed: the task {task.short_id} has no end",
                remedy="this is a bug of localrun; please report it with what is printed above",
            )
        return task.record

    def _await(self, app: App, task: ActiveTask) -> None:
        """Close the feed once the task is let go of: also after a bug, when no event tells its end."""
        try:
            app.manager.wait(task)
        finally:
            self._feed.close()

    def _stop(self, app: App, task: ActiveTask, number: int) -> None:
        """Called for each signal, in a thread of its own."""
        first = number == 1
        self._display.notify("stopping (Ctrl+C again: at once)" if first else "stopping at once")
        try:
            app.manager.kill(task, None if first else 0.0)
        except LocalrunError as error:
            self._display.notify(f"the container could not be stopped: {error.message}")

    def _sweep(self, app: App) -> None:
        """End what dead processes left, while the container runs and this process has nothing to do."""
        try:
            ended = app.recovery.end_orphans()
        except (LocalrunError, OSError) as error:
            self._display.notify(f"warning: tasks of processes that died could not be ended: {error}")
            return
        for record in ended:
            self._display.notify(
                f"the task {record.short_id} of a process that died was ended: {record.state}"
            )

    def _close(self, record: TaskRecord, workspace: Workspace) -> int:
        from localrun.console.report import report_error, report_task

        code = code_for_cause(Cause[record.cause] if record.cause else None)
        outputs = record.outputs
        try:
            with self._signals.interruptible():
                outputs = self._deliver(record, workspace)
        except Interrupted:
            code = ExitCode.INTERRUPTED
        except LocalrunError as error:
            report_error(error, self._context.environ)
            code = code or ExitCode.ENGINE_OR_HOST
        self._print(record, outputs, workspace)
        for remark in (*self._origin.remarks(record), *(() if self._choices.quiet else _of_replicas(record))):
            self._display.notify(remark)
        if record.cause:
            report_task(record, self._context.environ)
        return code

    def _deliver(self, record: TaskRecord, workspace: Workspace) -> dict[str, Any]:
        if self._delivery is None:
            return record.outputs
        outputs = self._delivery.copy(record, workspace)
        for warning in self._delivery.warnings:
            self._display.notify(f"warning: {warning}")
        return outputs

    def _print(self, record: TaskRecord, outputs: dict[str, Any], workspace: Workspace) -> None:
        from localrun.console import results

        folders = [workspace.path, *([self._delivery.folder] if self._delivery else [])]
        if self._choices.as_json:
            results.print_json({**results.as_fields(record), "outputs": outputs})
        elif self._choices.quiet:
            results.print_outputs(outputs, folders)
        else:
            results.print_result(record, outputs, folders, self._context.environ)


def _of_replicas(record: TaskRecord) -> Iterable[str]:
    if record.replication is None:
        return ()
    from localrun.console.replicas import fact_lines

    return fact_lines(record)


class _OfBundle:
    """A task of a bundle, with the values of the command."""

    def __init__(self, bundle: str, order: IexecInputs | None) -> None:
        self.name = bundle
        self._order = order

    def request(self, app: App, choices: Choices, say: Callable[[str], None]) -> Request:  # noqa: ARG002
        """The bundle as it is; there is nothing to remark."""
        from localrun import values
        from localrun.manager.request import Request, to_iexec_request

        asked = Request(
            bundle=Path(self.name),
            image=choices.image,
            values=values.load_values(choices.inputs) if choices.inputs else {},
            assignments=choices.assignments,
            build_args=dict(choices.build_args),
            timeout=choices.timeout,
            cpus=choices.cpus,
            memory=choices.memory,
            gpus=choices.gpus,
            network=choices.network,
            writable_inputs=bool(choices.writable_inputs),
            hardened=bool(choices.hardened),
            pull=choices.pull or "missing",
            replicas=choices.replicas or 1,
            agree=choices.agree,
        )
        return asked if self._order is None else to_iexec_request(asked, self._order, self.name)

    def remarks(self, record: TaskRecord) -> Iterable[str]:  # noqa: ARG002
        """Its end says all."""
        return ()
