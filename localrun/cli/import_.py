"""`localrun import`: import tasks from an export file."""

from __future__ import annotations

from pathlib import Path

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.cli.pipes import notice_of_pipe
from localrun.console.streams import print_err, print_out
from localrun.units import format_count


@click.command()
@click.argument("file", type=options.FILE)
@pass_context
def command(context: CliContext, file: Path) -> int:
    """Import the tasks of FILE, written by `localrun export`, into this folder.

    Ended tasks are added to the list. Active tasks are submitted again and wait for the next server of this
    folder. Tasks that already exist are not changed.
    """
    from localrun.manager import export

    with context.app() as app:
        with notice_of_pipe(file):
            exported = export.read(file)
        found = export.import_tasks(exported, app.store, app.manager)
        app.manager.shutdown(on_exit="leave")
    print_out(f"imported {format_count(len(found.imported), 'task')}")
    for problem in found.problems:
        print_err(f"not imported: {problem}")
    return ExitCode.BUNDLE_OR_VALUES if found.problems and not found.imported else ExitCode.FINISHED
