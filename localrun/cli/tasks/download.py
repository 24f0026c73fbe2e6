"""`localrun tasks download`: the outputs or inputs of tasks, each task in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_error
from localrun.cli.tasks.multi_value import MultiValueCommand
from localrun.console.streams import print_out
from localrun.errors import LocalrunError, UsageError
from localrun.task.record import short_id

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

_FOLDER = "localrun_output"


@click.command(cls=MultiValueCommand)
@options.task_ids
@click.option("--filenames", metavar="NAME...", multiple=True, help="Only these outputs.")
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    default=_FOLDER,
    show_default=True,
    help="Where to: DIR/ID/outputs and DIR/ID/inputs.",
)
@click.option("-i", "--input", "inputs", is_flag=True, help="The inputs; with -o both.")
@click.option("-o", "--output", "outputs", is_flag=True, help="The outputs; what is meant without -i.")
@options.as_json
@pass_context
def command(
    context: CliContext,
    task_ids: tuple[str, ...],
    *,
    filenames: tuple[str, ...],
    folder: str,
    inputs: bool,
    outputs: bool,
    as_json: bool,
) -> int:
    """Copy the outputs of the tasks ID..., or their inputs; also what a failed task left."""
    if not task_ids:
        raise UsageError("give the ids of the tasks", remedy="`localrun tasks list` shows the ids")
    if not folder:
        raise UsageError("--dir is empty", remedy="name a folder, or leave it out")
    from localrun.console.report import report_error

    outputs = outputs or not inputs
    made: list[dict[str, str]] = []
    code: int = ExitCode.FINISHED
    with context.app() as app:
        for name in dict.fromkeys(task_ids):
            try:
                workspace, record = app.find(name)
                target = Path(folder, record.id)
                made.append(_copied(record, workspace, target, filenames, inputs=inputs, outputs=outputs))
            except LocalrunError as error:
                report_error(error, context.environ)
                code = code_for_error(error)
    _print(made, as_json=as_json)
    return code


def _copied(
    record: TaskRecord,
    workspace: Workspace,
    folder: Path,
    names: tuple[str, ...],
    *,
    inputs: bool,
    outputs: bool,
) -> dict[str, str]:
    made = {"id": record.id}
    if outputs:
        from localrun.api.outputs import download

        if not record.state.is_final:
            raise UsageError(
                f"the task {record.short_id} has not ended ({record.state})",
                remedy=f"wait for it: `localrun wait {record.short_id}`",
            )
        made["outputs"] = str(download(record, workspace, names or None, folder / "outputs"))
    if inputs:
        made["inputs"] = str(_inputs(record, workspace, (folder / "inputs").absolute()))
    return made


def _inputs(record: TaskRecord, workspace: Workspace, folder: Path) -> Path:
    """Copy them; a user's own file, for which an empty one stands in the task's folder, from where it is."""
    # links are copied as links: a task that may write its inputs cannot have us read what they lead to
    shutil.copytree(workspace.inputs, folder, symlinks=True, dirs_exist_ok=True)
    for source, place in record.plan.mounts if record.plan else ():
        if not Path(source).is_file():
            raise UsageError(f"the input {place} is gone: {source}", remedy="put the file back where it was")
        shutil.copyfile(source, folder / place)
    return folder


def _print(made: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        from localrun.console.results import print_json

        print_json(made)
        return
    for one in made:
        for kind in ("outputs", "inputs"):
            if kind in one:
                print_out(f"{short_id(one['id'])} {kind}: {one[kind]}")
