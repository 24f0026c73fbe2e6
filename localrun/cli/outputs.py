"""`localrun outputs`: the outputs of an ended task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.streams import print_err, print_json
from localrun.errors import LocalrunError, UsageError

if TYPE_CHECKING:
    from localrun.api.download import OutputCopier
    from localrun.app import App
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


@click.command()
@options.task_id
@options.output
@options.in_image
@options.extensions
@options.as_json
@pass_context
def command(
    context: CliContext,
    *,
    task_id: str,
    output: Path | None,
    in_image: bool,
    extensions: bool,
    as_json: bool,
) -> int:
    """Show or copy the outputs of the task ID, also of a failed task."""
    from localrun.console.results import print_outputs

    options.check_copy_options(output, in_image=in_image, extensions=extensions)

    with context.app() as app:
        workspace, record = _find_ended(app, task_id)
        found = CopyResult(record.outputs)
        if output:
            from localrun.api.download import OutputCopier

            with SignalHandler() as signals:
                limit = app.settings.disk_stop
                make_copier = partial(OutputCopier, output, limit, in_image=in_image, extensions=extensions)
                found = copy_outputs(context, make_copier, (record, workspace), signals)
    if as_json:
        fields: dict[str, Any] = {"id": record.id, "state": str(record.state), "outputs": found.outputs}
        fields |= {"problems": record.problems, "folder": record.folder}
        print_json(fields | ({"copy_problems": found.problems} if output else {}))
        return found.code
    print_outputs(found.outputs, [workspace.path, *([output.absolute()] if output else [])])
    if not found.outputs:
        print_err(f"task {record.short_id} has no valid outputs; its output folder is {workspace.outputs}")
    return found.code


@dataclass(frozen=True, slots=True)
class CopyResult:
    """The outputs with the paths of the copies, the problems of those that were not copied, an exit code."""

    outputs: dict[str, Any]
    problems: list[dict[str, Any]] = field(default_factory=list)
    code: int = ExitCode.FINISHED


def copy_outputs(
    context: CliContext,
    make_copier: Callable[[], OutputCopier],
    task: tuple[TaskRecord, Workspace],
    signals: SignalHandler,
    notify: Callable[[str], None] = print_err,
) -> CopyResult:
    """Copy the outputs of a task, and show errors and warnings. Never raises; a signal ends the copying."""
    record, _ = task
    copier: OutputCopier | None = None
    try:
        with signals.interruptible():
            copier = make_copier()
            with task[1].reading():
                copier.copy(*task)
        found = CopyResult(copier.outputs)
    except Interrupted:
        notify(f"stopped while copying the outputs; repeat it with `localrun outputs {record.short_id} -o`")
        found = CopyResult(record.outputs, code=ExitCode.INTERRUPTED)
    except LocalrunError as error:
        problems = [problem.as_dict() for problem in error.problems] or [{"message": error.message}]
        copied = copier.outputs if copier is not None else record.outputs
        found = CopyResult(copied, problems, context.report(error))
    if copier is not None:
        copier.rollback()
        for warning in copier.warnings:
            notify(f"warning: {warning}")
    return found


def _find_ended(app: App, task_id: str) -> tuple[Workspace, TaskRecord]:
    """Raise `UsageError` while the task is active."""
    workspace, record = app.find(task_id)
    if not record.state.is_final:
        raise UsageError(
            f"task {record.short_id} has not ended ({record.state})",
            remedy=f"wait for it with `localrun wait {record.short_id}`",
        )
    return workspace, record


def download_task(
    app: App, task_id: str, folder: Path, *, filenames: Sequence[str], inputs: bool, outputs: bool
) -> dict[str, str]:
    """Copy the outputs (the default) or inputs of a task below `folder`. Return its ID and the paths.

    Raises `LocalrunError` with every output or input that is not copied.
    """
    from localrun.api.outputs import download

    outputs = outputs or not inputs
    workspace, record = _find_ended(app, task_id) if outputs else app.find(task_id)
    target = Path(folder, record.id).absolute()
    copied = {"id": record.id}
    limit = app.settings.disk_stop
    if outputs:
        copier = download(record, workspace, filenames or None, target / "outputs", limit)
        copied["outputs"] = str(copier.folder)
        for warning in copier.warnings:
            print_err(f"warning: {warning}")
    if inputs:
        from localrun.api.inputs import download_inputs

        given = download_inputs(record, workspace, target / "inputs", limit)
        copied["inputs"] = str(given.folder)
        for warning in given.warnings:
            print_err(f"warning: {warning}")
    return copied
