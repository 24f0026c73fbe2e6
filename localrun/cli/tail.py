"""`localrun tail`: the ends of files that a task writes."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.attach import attach, wait_for_end, warn_if_orphaned, warn_if_unfinished
from localrun.cli.context import CliContext, pass_context
from localrun.errors import UsageError

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

_LINES = 10


@click.command()
@options.task_id
@click.argument("files", metavar="[FILE]...", nargs=-1, shell_complete=options.complete_file)
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=_LINES, show_default=True, help="How many of each."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until the task has ended.")
@options.as_json
@pass_context
def command(
    context: CliContext, task_id: str, files: tuple[str, ...], lines: int, *, follow: bool, as_json: bool
) -> None:
    """Show the last lines of FILEs that the task ID has written, also while it runs.

    A FILE is a path as `localrun list-files ID` shows it; without one, what the program printed is meant.
    With --follow they may also come later, and a task whose process died is carried on here; Ctrl+C ends
    the following, not the task.
    """
    with context.app(on_exit="leave") as app:
        workspace, record = app.find(task_id)
        _refuse_remote(record, files)
        end = attach(app, record) if follow else None
        context.on_imported()
        if as_json:
            wait_for_end(end)
            _print_json(workspace, files, lines)
        else:
            _tails(workspace, record)(files, lines=lines, end=end, out=sys.stdout)
        if follow:
            warn_if_unfinished(end)
        elif not files:
            warn_if_orphaned(workspace)


def _refuse_remote(record: TaskRecord, files: tuple[str, ...]) -> None:
    if files and record.remote and not record.state.is_final:
        raise UsageError(
            "the task's engine does not share files with this machine: they come when it has ended",
            remedy=f"wait for it: `localrun wait {record.short_id}`; its log is here: leave out the FILE",
        )


def _tails(workspace: Workspace, record: TaskRecord) -> Callable[..., None]:
    """What writes the ends of files of a task."""
    from localrun.api.tail import tail

    return partial(tail, workspace, record.run_plan.output_folder)


def _print_json(workspace: Workspace, files: tuple[str, ...], lines: int) -> None:
    from localrun.console.results import print_json

    record = workspace.load()
    tail = _tails(workspace, record)
    tail(files, lines=lines, end=None, out=io.StringIO())  # what is wrong with names is told together
    found = []
    for name in files or (workspace.log.name,):
        text = io.StringIO()
        tail((name,) if files else (), lines=lines, end=None, out=text)
        found.append({"name": name, "text": text.getvalue()})
    print_json({"id": record.id, "state": str(record.state), "files": found})
