"""`localrun rm`: delete ended tasks with all their files."""

from __future__ import annotations

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.console.streams import print_json, print_out
from localrun.errors import LocalrunError


@click.command()
@options.task_ids
@options.flag("-a", "--all", "everything", help="Delete all ended tasks of this folder.")
@options.as_json
@pass_context
def command(context: CliContext, task_ids: tuple[str, ...], everything: bool, as_json: bool) -> int:
    """Delete the tasks ID... with their inputs, outputs and logs."""
    options.check_selection(task_ids, everything)
    removed: list[str] = []
    code = ExitCode.FINISHED
    with context.app() as app:
        ended = [record.id for record in app.tasks() if record.state.is_final] if everything else []
        for prefix in (*task_ids, *ended):
            try:
                removed.append(app.remove(prefix))
            except LocalrunError as error:
                code = context.report(error)
    if as_json:
        print_json({"removed": removed})
    else:
        for task_id in removed:
            print_out(task_id)
    return code
