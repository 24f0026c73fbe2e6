"""`localrun rerun`: a task once more, with what is to be different."""

from __future__ import annotations

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

_OVER = ("timeout", "cpus", "memory", "gpus", "network", "writable_inputs", "hardened", "pull", "replicas")


@click.command()
@options.task_id
@with_run_options
@click.option(
    "--same-image", is_flag=True, help="Use the very image and descriptor of ID, though its bundle changed."
)
@pass_context
def command(context: CliContext, /, task_id: str, same_image: bool, **given: Any) -> int:
    """Run the task ID again: its bundle, inputs and options, but for what is given here.

    The bundle is taken as it is now; what has changed in it is said. Limits that ID had from its
    descriptor are the descriptor's again. When the bundle is gone, the image and descriptor of ID serve.
    """
    return run_in_foreground(context, _OfTask(task_id, same_image=same_image), Choices(**given))


class _OfTask:
    """A task of an earlier task."""

    def __init__(self, task_id: str, *, same_image: bool) -> None:
        self.name = f"rerun of {short_id(task_id)}"
        self._task_id = task_id
        self._same_image = same_image
        self._before: tuple[TaskRecord, Workspace] | None = None

    def request(self, app: App, choices: Choices, say: Callable[[str], None]) -> Request:
        """What the task was submitted as, with the changes."""
        from msgspec.structs import replace

        from localrun import values
        from localrun.manager.rerun import request_from

        workspace, record = app.find(self._task_id)
        self._before = (record, workspace)
        given = values.load_values(choices.inputs) if choices.inputs else {}
        anew = {*given, *(pair.partition("=")[0] for pair in choices.assignments)}
        found = request_from(
            record,
            workspace,
            say,
            replaced=anew,
            has_image=lambda image: app.engine.find_image(image) is not None,
            image=choices.image,
            same_image=self._same_image,
        )
        chosen = {name: getattr(choices, name) for name in _OVER}
        return replace(
            found,
            values={**found.values, **given},
            assignments=choices.assignments,
            build_args={**found.build_args, **dict(choices.build_args)},
            **{name: value for name, value in chosen.items() if value is not None},
            agree=choices.agree if choices.agree or choices.replicas else found.agree,
        )

    def remarks(self, record: TaskRecord) -> Iterator[str]:
        """What has changed in the bundle since."""
        from localrun.manager.rerun import changed_since

        if self._before is None:
            return
        before, workspace = self._before
        for what in changed_since(before, workspace, record):
            yield f"the {what} is another one than that of {before.short_id}; `localrun diff` shows more"
