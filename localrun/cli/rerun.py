"""`localrun rerun`: run a task again, optionally with changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.detach import submit_and_wait, submit_detached
from localrun.cli.run import Choices, run_in_foreground, with_run_options
from localrun.console.streams import print_err
from localrun.errors import UsageError
from localrun.task.record import short_id

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.manager.request import Request
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


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
    named = _failed_tasks(context) if failed else tuple(dict.fromkeys(task_ids))
    sources = [_RerunSource(task_id, same_image=same_image) for task_id in named]
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


class _RerunSource:
    """A new task with the bundle, inputs and options of an earlier one."""

    def __init__(self, task_id: str, *, same_image: bool) -> None:
        self.name = f"rerun of {short_id(task_id)}"
        self._task_id = task_id
        self._same_image = same_image
        self._before: tuple[TaskRecord, Workspace] | None = None

    def request(self, app: App, choices: Choices, notify: Callable[[str], None]) -> Request:
        from localrun.manager.rerun import request_from, with_changes

        workspace, record = app.find(self._task_id)
        self._before = (record, workspace)
        named = choices.named_inputs()
        given = named.pop("values", {})
        files = os.listdir(choices.inputs) if "inputs_folder" in named else ()  # noqa: PTH208 - names
        replaced = {*given, *files, *(pair.partition("=")[0] for pair in choices.assignments)}
        found = request_from(
            record,
            workspace,
            notify,
            replaced=replaced,
            has_image=lambda image: app.engine.find_image(image) is not None,
            image=choices.options.get("image"),
            same_image=self._same_image,
        )
        changed = with_changes(found, choices.options, given)
        return changed.replace(assignments=choices.assignments, **named)

    def notes(self, record: TaskRecord) -> Iterator[str]:
        from localrun.manager.rerun import changed_since

        if self._before is None:
            return
        before, workspace = self._before
        for what in changed_since(before, workspace, record):
            yield f"the {what} differs from that of task {before.short_id}; `localrun diff` shows details"
