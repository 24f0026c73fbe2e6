"""`localrun import`: tasks that were exported, made known here."""

from __future__ import annotations

from pathlib import Path

import click

from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.console.streams import print_err, print_out


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_context
def command(context: CliContext, file: Path) -> int:
    """Make the tasks of FILE, which `localrun export` wrote, known in this folder.

    Ended tasks are listed again. Active ones are made anew of what was submitted, and wait for the next
    server of this folder. Tasks that are here already are left as they are.
    """
    from localrun.manager import export

    with context.app() as app:
        found = export.import_tasks(export.read(file), app.store, app.manager)
        app.manager.shutdown(on_exit="leave")
    print_out(f"{len(found.imported)} {'task' if len(found.imported) == 1 else 'tasks'} taken in")
    for problem in found.problems:
        print_err(f"not taken in: {problem}")
    return ExitCode.BUNDLE_OR_VALUES if found.problems and not found.imported else ExitCode.FINISHED
