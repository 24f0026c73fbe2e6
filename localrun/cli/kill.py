"""`localrun kill`: stop a task, whichever process carries it."""

from __future__ import annotations

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.streams import print_out


@click.command()
@options.task_id
@click.option(
    "--grace",
    type=options.DURATION,
    metavar="TIME",
    help="How long it may take to end by itself; default: LOCALRUN_GRACE, or 10s.",
)
@click.option("--now", is_flag=True, help="Give it no time at all.")
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, grace: float | None, now: bool, as_json: bool) -> None:
    """Stop the task ID and wait for its end.

    The program gets SIGTERM, and SIGKILL when it has not ended within the grace.
    """
    with context.app() as app:
        record = app.kill(task_id, 0.0 if now else grace)
    if as_json:
        from localrun.console.results import as_fields, print_json

        print_json(as_fields(record))
    else:
        print_out(f"{record.short_id} {record.state}")
