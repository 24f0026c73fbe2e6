"""`localrun info`: where a task's time went, what it used, and what it left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import as_system, options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.watch import print_or_watch

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
    context: CliContext, task_id: str, *, watch: float | None, system: str | None, as_json: bool
) -> None:
    """Show the timeline of the task ID, what was done in each state, its usage, and the size of its data."""
    from localrun.console.summary import summary

    with context.app() as app:
        workspace, record = app.find(task_id)
        if as_json and watch is None:
            from localrun.console.results import print_json

            print_json(info_fields(record, workspace) | as_system.as_fields(record, system))
            return

        def look() -> tuple[str, bool]:
            now = workspace.load()
            words = (
                (as_system.history(now, system), as_system.translate(now, system).status) if system else ()
            )
            return summary(now, workspace, *words).rstrip("\n"), not now.state.is_final

        print_or_watch(look, watch, context.environ, as_json=as_json)


def info_fields(record: TaskRecord, workspace: Workspace) -> dict[str, Any]:
    """What `status` shows, and the overview."""
    from localrun.cli.status import status_fields
    from localrun.console.summary import overview
    from localrun.runner.usage import with_current_usage

    return status_fields(with_current_usage(workspace, record)) | overview(record, workspace, time.time())
