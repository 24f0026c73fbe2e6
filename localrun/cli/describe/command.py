"""`localrun describe`: show a task in the form of `kubectl describe pod`."""

from __future__ import annotations

import time

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_json, print_out


@click.command()
@options.task_id
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, as_json: bool) -> None:
    """Show the task ID in detail: containers, mounts, conditions and events.

    The format is that of `kubectl describe pod`. Secrets in the environment are masked.
    """
    from localrun.cli.describe.format import format_lines
    from localrun.report.details.description import describe
    from localrun.runner.usage import with_current_usage

    with context.app() as app:
        workspace, record = app.find(task_id)
        replicas = [with_current_usage(app.store.open(one.id), one) for one in app.replicas(record)]
    found = describe(with_current_usage(workspace, record), workspace, time.time(), replicas)
    if as_json:
        print_json(found)
        return
    print_out("\n".join(map(escape_control_chars, format_lines(found))))
