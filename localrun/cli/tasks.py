"""`localrun tasks ...`: aliases of the ordinary commands with the flags and words of `inductiva tasks`."""

from __future__ import annotations

import time
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import as_system, options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.cli.group import LazyGroup
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_err, print_json, print_out
from localrun.console.usage import format_resources
from localrun.errors import LocalrunError, UsageError
from localrun.task.record import short_id
from localrun.units import format_duration

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.task.record import TaskRecord

_SECTIONS = {
    "Commands": {
        "list": ("tasks:list_", "List the tasks of this folder."),
        "info": ("info", "Show a task's timeline, resource usage and output sizes."),
        "kill": ("tasks:kill", "Stop tasks."),
        "download": ("tasks:download", "Copy the outputs or inputs of tasks."),
        "tail": ("tail", "Show the last lines of a task's files."),
        "list-files": ("list_files", "List a task's output files."),
        "top": ("top", "Show the resource usage of running tasks."),
    }
}
_HEADS = ("ID", "NAME", "STATUS", "SUBMITTED", "STARTED", "COMPUTATION TIME", "RESOURCES")


class _Aliases(LazyGroup):
    """Commands that differ from the ordinary ones in a default or the spelling of an option."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a changed copy; the ordinary command stays as it is."""
        command = copy(super().get_command(ctx, cmd_name))
        if command is None or cmd_name not in ("info", "tail"):
            return command
        command.params = [copy(parameter) for parameter in command.params]
        for parameter in command.params:
            if parameter.name == "system":
                parameter.default = "inductiva"
            elif parameter.name == "lines":
                parameter.opts = [*parameter.opts, "-l"]
        return command


class _MultiValueCommand(click.Command):
    """A command whose `multiple` options take all words up to the next option, such as `--id A B`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option in front of each of its words."""
        multiple = {name for one in self.params if getattr(one, "multiple", False) for name in one.opts}
        end = args.index("--") if "--" in args else len(args)
        found: list[str] = []
        option = ""
        for word in args[:end]:
            if word.startswith("-") and word != "-":
                option = word if word in multiple else ""
            elif option and found[-1] != option:
                found.append(option)
            found.append(word)
        return super().parse_args(ctx, found + args[end:])


@click.group(cls=_Aliases, sections=_SECTIONS, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> int:
    """Run Inductiva-compatible task commands: `inductiva tasks ...` becomes `localrun tasks ...`.

    They work like the ordinary commands, with Inductiva's flags and statuses.
    """
    if ctx.invoked_subcommand is None:
        print_out(ctx.get_help())
        return ExitCode.USAGE
    return ExitCode.FINISHED


@click.command(cls=_MultiValueCommand)
@click.option("-n", "--last-n", type=options.COUNT, help="Number of tasks to list.  [default: 10]")
@options.flag("-a", "--all", "everything", help="List all tasks.")
@click.option(
    "-i",
    "--id",
    "task_ids",
    metavar="ID...",
    multiple=True,
    shell_complete=options.complete_task,
    help="List only these tasks.",
)
@options.watch
@options.as_json
@pass_context
def list_(
    context: CliContext, /, *, last_n: int | None, everything: bool, task_ids: tuple[str, ...], **given: Any
) -> None:
    """List the tasks of this folder, newest first, with Inductiva's statuses.

    A `*` before the computation time marks a task that is still running.
    """
    from localrun.cli.list_ import print_tasks

    if sum((last_n is not None, everything, bool(task_ids))) > 1:
        raise UsageError("--last-n, --all and --id exclude each other", remedy="pass only one of them")

    def find(app: App) -> list[TaskRecord]:
        named = [app.find(task_id)[1] for task_id in task_ids]
        return named or app.tasks(None if everything else last_n or 10)

    print_tasks(context, find, lambda records: [_HEADS, *map(_row, records)], system="inductiva", **given)


def _row(record: TaskRecord) -> tuple[str, ...]:
    task = next((step for step in record.steps if step.name == "task"), None)
    started = task.started if task else None
    ended = (task.finished if task else None) or record.ended
    computed = "-"
    if started is not None:
        computed = ("" if ended else "* ") + format_duration(max(0.0, (ended or time.time()) - started))
    return (
        record.short_id,
        escape_control_chars(record.name) or "-",
        as_system.translate(record, "inductiva").status,
        _date(record.created),
        "-" if started is None else _date(started),
        computed,
        format_resources(record.resources),
    )


def _date(timestamp: float) -> str:
    return time.strftime("%d/%m, %H:%M:%S", time.localtime(timestamp))


@click.command()
@options.task_ids
@options.flag("--all", "everything", help="Stop all active tasks of this folder.")
@options.flag("-y", "--yes", help="Do not ask before --all stops tasks.")
@click.option("--wait-timeout", type=options.DURATION, help="Time to wait; tasks are stopped anyway.")
@options.as_json
@pass_context
def kill(
    context: CliContext,
    *,
    task_ids: tuple[str, ...],
    everything: bool,
    yes: bool,
    wait_timeout: float | None,
    as_json: bool,
) -> int:
    """Stop the tasks ID... in parallel and wait for them to end.

    The option --wait-timeout has no short form, because `-w` means --watch in all commands.
    """
    from localrun.cli.kill import confirm, stop_tasks

    options.check_selection(task_ids, everything)
    with context.app(on_exit="leave") as app:
        if everything:  # replicas end with their task
            ids = [record.id for record in app.manager.active_tasks if record.replica is None]
        else:
            ids = list(dict.fromkeys(app.find(name)[1].id for name in task_ids))
        if everything and ids and not yes:
            confirm(context, ids)
        return stop_tasks(context, app, ids, wait_timeout, as_json=as_json)


@click.command(cls=_MultiValueCommand)
@options.task_ids
@click.option("--filenames", metavar="NAME...", multiple=True, help="Copy only these outputs.")
@options.with_default(
    "--dir",
    "folder",
    metavar="DIR",
    default="localrun_output",
    help="Copy to DIR/ID/outputs and DIR/ID/inputs.",
)
@options.flag("-i", "--input", "inputs", help="Copy the inputs; add -o for both.")
@options.flag("-o", "--output", "outputs", help="Copy the outputs (the default).")
@options.as_json
@pass_context
def download(
    context: CliContext, /, *, task_ids: tuple[str, ...], folder: str, as_json: bool, **given: Any
) -> int:
    """Copy the outputs or inputs of the tasks ID..., also of failed tasks."""
    from localrun.cli.outputs import download_task

    if not task_ids:
        raise UsageError("missing task IDs", remedy="`localrun tasks list` shows the IDs")
    if not folder:
        raise UsageError("--dir must not be empty", remedy="pass a folder, or omit --dir")
    copies: list[dict[str, str]] = []
    code = ExitCode.FINISHED
    with context.app() as app, SignalHandler() as signals:
        for name in dict.fromkeys(task_ids):
            try:
                with signals.interruptible():
                    copies.append(download_task(app, name, Path(folder), **given))
            except Interrupted:
                print_err(f"interrupted while copying task {name}")
                code = ExitCode.INTERRUPTED
                break
            except LocalrunError as error:
                code = context.report(error)
    if as_json:
        print_json(copies)
        return code
    for copied in copies:
        task_id = short_id(copied.pop("id"))
        for kind, path in copied.items():
            print_out(f"{task_id} {kind}: {path}")
    return code
