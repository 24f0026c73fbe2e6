"""`localrun rerun`: run a task again, optionally with changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.run import Choices, run_in_foreground, with_run_options
from localrun.task.record import short_id

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.manager.request import Request
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


@click.command()
@options.task_id
@with_run_options
@options.flag("--same-image", help="Use the original image and descriptor.")
@pass_context
def command(context: CliContext, /, task_id: str, same_image: bool, **given: Any) -> int:
    """Run the task ID again, with the inputs and options given here in place of the original ones.

    The bundle is used as it is now, and changes since the original run are reported. Limits that came from
    the descriptor are read again. If the bundle no longer exists, the original image and descriptor are used.
    """
    return run_in_foreground(context, _RerunSource(task_id, same_image=same_image), Choices.of(given))


class _RerunSource:
    """A new task with the bundle, inputs and options of an earlier one."""

    def __init__(self, task_id: str, *, same_image: bool) -> None:
        self.name = f"rerun of {short_id(task_id)}"
        self._task_id = task_id
        self._same_image = same_image
        self._before: tuple[TaskRecord, Workspace] | None = None

    def request(self, app: App, choices: Choices, notify: Callable[[str], None]) -> Request:
        from localrun.manager.inputs import override
        from localrun.manager.rerun import request_from

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
        options = {"agree": None if "replicas" in choices.options else found.agree} | choices.options
        for name in ("build_args", "build_contexts", "metadata"):
            options[name] = getattr(found, name) | choices.options[name]
        inputs = override(found.values, given)
        return found.replace(values=inputs, assignments=choices.assignments, **named, **options)

    def notes(self, record: TaskRecord) -> Iterator[str]:
        from localrun.manager.rerun import changed_since

        if self._before is None:
            return
        before, workspace = self._before
        for what in changed_since(before, workspace, record):
            yield f"the {what} differs from that of task {before.short_id}; `localrun diff` shows details"
