"""`localrun info`: show a task's timeline, resource usage and output sizes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import as_system, options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.watch import print_or_watch
from localrun.console.streams import print_json

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


@click.command()
@options.task_id
@options.watch
@as_system.as_system
@options.as_json
@pass_context
def command(
    context: CliContext, task_id: str, watch: float | None, system: str | None, as_json: bool
) -> None:
    """Show the timeline, resource usage and data sizes of the task ID."""
    from localrun.console.summary import summary

    with context.app() as app:
        workspace, record = app.find(task_id)
        if as_json and watch is None:
            print_json(_fields(record, workspace) | as_system.as_fields(record, system))
            return

        def render() -> tuple[str, bool]:
            now = workspace.load()
            history = as_system.history(now, system) if system else None
            status = as_system.translate(now, system).status if system else ""
            return summary(now, workspace, history, status).rstrip("\n"), not now.state.is_final

        print_or_watch(render, watch, context.environ, as_json=as_json)


def _fields(record: TaskRecord, workspace: Workspace) -> dict[str, Any]:
    from localrun.cli.status import status_fields
    from localrun.console.summary import overview
    from localrun.runner.usage import with_current_usage

    return status_fields(with_current_usage(workspace, record)) | overview(record, workspace, time.time())
