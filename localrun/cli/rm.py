"""`localrun rm`: delete ended tasks with all their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_error
from localrun.console.streams import print_json, print_out
from localrun.errors import LocalrunError

if TYPE_CHECKING:
    from localrun.app import App


@click.command()
@options.task_ids
@options.flag("-a", "--all", "everything", help="Delete all ended tasks of this folder.")
@options.as_json
@pass_context
def command(context: CliContext, task_ids: tuple[str, ...], everything: bool, as_json: bool) -> int:
    """Delete the tasks ID... with their inputs, outputs and logs."""
    options.check_selection(task_ids, everything)
    with context.app() as app:
        removed, code = _remove(app, _ended(app) if everything else list(task_ids), context)
    if as_json:
        print_json({"removed": removed})
    else:
        for task_id in removed:
            print_out(task_id)
    return code


def _ended(app: App) -> list[str]:
    return [record.id for record in app.tasks() if record.state.is_final]


def _remove(app: App, prefixes: list[str], context: CliContext) -> tuple[list[str], int]:
    """Delete tasks, report those that cannot be deleted, and return the exit code."""
    from localrun.console.report import report_error

    removed: list[str] = []
    code: int = ExitCode.FINISHED
    for prefix in prefixes:
        try:
            removed.append(app.remove(prefix))
        except LocalrunError as error:
            report_error(error, context.environ)
            code = code_for_error(error)
    return removed, code
