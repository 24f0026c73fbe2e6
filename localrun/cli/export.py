"""`localrun export`: write the task list to a file."""

from __future__ import annotations

from pathlib import Path

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.streams import print_out
from localrun.units import format_count


@click.command()
@click.argument("file", type=options.FILE)
@options.flag("--active", help="Export only active tasks.")
@pass_context
def command(context: CliContext, file: Path, active: bool) -> None:
    """Write the records of this folder's tasks to FILE, one JSON object per line.

    Inputs, outputs and logs are not included.
    """
    from localrun.manager import export

    with context.app() as app:
        found = [record for record in app.tasks() if not (active and record.state.is_final)]
        count = export.export(found, file)
    print_out(f"exported {format_count(count, 'task')} to {file}")
