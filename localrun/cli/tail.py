"""`localrun tail`: show the last lines of a task's files."""

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
from localrun.console.streams import print_json
from localrun.errors import UsageError

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


@click.command()
@options.task_id
@click.argument(
    "files", type=options.RAW, metavar="[FILE]...", nargs=-1, shell_complete=options.completer("files")
)
@options.with_default(
    "-n", "--lines", type=options.COUNT_OR_ZERO, default=10, help="Number of lines of each file."
)
@options.flag("-f", "--follow", help="Follow the files until the task ends.")
@options.as_json
@pass_context
def command(
    context: CliContext, task_id: str, files: tuple[str, ...], lines: int, *, follow: bool, as_json: bool
) -> None:
    """Show the last lines of FILEs that the task ID has written, also while it runs.

    FILE is a path from `localrun list-files ID`; without FILE, the log is shown. With --follow, a FILE may
    appear later, and a task whose process has died is resumed here. Ctrl+C stops following, not the task.
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
            _tail(workspace, record)(files, lines=lines, end=end, out=sys.stdout)
        if follow:
            warn_if_unfinished(end)
        elif not files:
            warn_if_orphaned(workspace)


def _refuse_remote(record: TaskRecord, files: tuple[str, ...]) -> None:
    if files and record.remote and not record.state.is_final:
        raise UsageError(
            "the files of a task on a remote engine are available after it ends",
            remedy=f"wait for it with `localrun wait {record.short_id}`, or omit FILE to see the log",
        )


def _tail(workspace: Workspace, record: TaskRecord) -> Callable[..., None]:
    """Return `tail` for the files of a task."""
    from localrun.api.tail import tail

    return partial(tail, workspace, record.run_plan.output_folder)


def _print_json(workspace: Workspace, files: tuple[str, ...], lines: int) -> None:
    record = workspace.load()
    tail = _tail(workspace, record)
    tail(files, lines=lines, end=None, out=io.StringIO())  # raises for all wrong names at once
    found = []
    for name in files or (workspace.log.name,):
        text = io.StringIO()
        tail((name,) if files else (), lines=lines, end=None, out=text)
        found.append({"name": name, "text": text.getvalue()})
    print_json({"id": record.id, "state": str(record.state), "files": found})
