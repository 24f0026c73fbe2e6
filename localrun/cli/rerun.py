"""`localrun rerun`: run a task again, optionally with changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.detach import submit_and_wait, submit_detached
from localrun.cli.run import run_in_foreground
from localrun.cli.run_options import Choices, with_run_options
from localrun.cli.sources import RerunSource
from localrun.console.streams import print_err
from localrun.errors import UsageError

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("task_ids", metavar="[ID...]", nargs=-1, shell_complete=options.complete_task)
@options.flag("--failed", help="Run all failed tasks again that were not run again since.")
@with_run_options
@options.flag("--same-image", help="Use the original image and descriptor.")
@pass_context
def command(
    context: CliContext, /, task_ids: tuple[str, ...], failed: bool, same_image: bool, **given: Any
) -> int:
    """Run the task ID again, with the inputs and options given here in place of the original ones.

    The bundle is used as it is now, and changes since the original run are reported. Limits that came from
    the descriptor are read again. If the bundle no longer exists, the original image and descriptor are used.

    Multiple tasks, also those of --failed, run in parallel and outlive the command, as with `localrun wait`.
    """
    if bool(task_ids) == failed:
        raise UsageError("expected either task IDs or --failed", remedy="`localrun list` shows the IDs")
    choices = Choices.of(given)
    if choices.shell_on_failure and len(task_ids) != 1:
        raise UsageError("--shell-on-failure is for one task", remedy="pass one ID")
    named = _failed_tasks(context) if failed else tuple(dict.fromkeys(task_ids))
    sources = [RerunSource(task_id, same_image=same_image) for task_id in named]
    if len(task_ids) == 1:
        return run_in_foreground(context, sources[0], choices)
    if not sources and not choices.quiet:
        print_err("no failed tasks to run again")
    if choices.detach:
        return submit_detached(context, sources, choices)
    return submit_and_wait(context, sources, choices)


def _failed_tasks(context: CliContext) -> tuple[str, ...]:
    from localrun.manager.rerun import failed_tasks

    with context.app() as app:
        return tuple(record.id for record in failed_tasks(app.tasks()))
