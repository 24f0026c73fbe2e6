"""`localrun outputs`: the outputs of an ended task."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.streams import print_err, print_json
from localrun.errors import UsageError

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


@click.command()
@options.task_id
@options.output
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, output: Path | None, as_json: bool) -> None:
    """Show or copy the outputs of the task ID, also of a failed task."""
    from localrun.console.results import print_outputs

    with context.app() as app:
        workspace, record = _find_ended(app, task_id)
        outputs = _copy(output, record, workspace) if output else record.outputs
    if as_json:
        fields = {"id": record.id, "state": str(record.state), "outputs": outputs}
        print_json({**fields, "problems": record.problems, "folder": record.folder})
        return
    print_outputs(outputs, [workspace.path, *([output.absolute()] if output else [])])
    if not outputs:
        print_err(f"task {record.short_id} has no valid outputs; its output folder is {workspace.outputs}")


def _find_ended(app: App, task_id: str) -> tuple[Workspace, TaskRecord]:
    """Raise `UsageError` while the task is active."""
    workspace, record = app.find(task_id)
    if not record.state.is_final:
        raise UsageError(
            f"task {record.short_id} has not ended ({record.state})",
            remedy=f"wait for it with `localrun wait {record.short_id}`",
        )
    return workspace, record


def _copy(folder: Path, record: TaskRecord, workspace: Workspace) -> dict[str, Any]:
    from localrun.api.download import OutputCopier

    copier = OutputCopier(folder)
    try:
        found = copier.copy(record, workspace)
    finally:
        copier.rollback()
    for warning in copier.warnings:
        print_err(f"warning: {warning}")
    return found


def download_task(
    app: App, task_id: str, folder: Path, *, filenames: Sequence[str], inputs: bool, outputs: bool
) -> dict[str, str]:
    """Copy the outputs (the default) or inputs of a task below `folder`. Return its ID and the paths."""
    from localrun.api.outputs import download

    outputs = outputs or not inputs
    workspace, record = _find_ended(app, task_id) if outputs else app.find(task_id)
    target = Path(folder, record.id).absolute()
    copied = {"id": record.id}
    if outputs:
        copied["outputs"] = str(download(record, workspace, filenames or None, target / "outputs"))
    if inputs:
        copied["inputs"] = str(_copy_inputs(record, workspace, target / "inputs"))
    return copied


def _copy_inputs(record: TaskRecord, workspace: Workspace, folder: Path) -> Path:
    """Copy the inputs; files that were mounted from elsewhere are copied from there."""
    # links stay links: a task with writable inputs could otherwise make this read any file
    shutil.copytree(workspace.inputs, folder, symlinks=True, dirs_exist_ok=True)
    for source, place in record.run_plan.mounts:
        if not Path(source).is_file():
            raise UsageError(f"the input file of {place} does not exist: {source}", remedy="restore the file")
        shutil.copyfile(source, folder / place)
    return folder
