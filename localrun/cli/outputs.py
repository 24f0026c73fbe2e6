"""`localrun outputs`: what an ended task gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.streams import print_err
from localrun.errors import UsageError

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


@click.command()
@options.task_id
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Copy them to DIR.",
)
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, output: Path | None, as_json: bool) -> None:
    """Show the outputs of the task ID, or copy them; also what a failed task left."""
    from localrun.console.results import print_json, print_outputs

    with context.app() as app:
        workspace, record = app.find(task_id)
        if not record.state.is_final:
            raise UsageError(
                f"the task {record.short_id} has not ended ({record.state})",
                remedy=f"wait for it with `localrun logs {record.short_id} -f`",
            )
        outputs = _copied(output, record, workspace) if output else record.outputs
    if as_json:
        fields = {"id": record.id, "state": str(record.state), "outputs": outputs}
        print_json({**fields, "problems": record.problems, "folder": record.folder})
        return
    print_outputs(outputs, [workspace.path, *([output.absolute()] if output else [])])
    if not outputs:
        print_err(
            f"the task {record.short_id} has no outputs that fit; what it left is in {workspace.outputs}"
        )


def _copied(folder: Path, record: TaskRecord, workspace: Workspace) -> dict[str, Any]:
    from localrun.api.download import OutputCopier

    delivery = OutputCopier(folder)
    try:
        found = delivery.copy(record, workspace)
    finally:
        delivery.rollback()
    for warning in delivery.warnings:
        print_err(f"warning: {warning}")
    return found
