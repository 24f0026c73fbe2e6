"""`localrun inputs`: the inputs of a task, as a folder that a task can be run with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.outputs import CopyResult, copy_outputs
from localrun.cli.signals import SignalHandler
from localrun.console.streams import print_json, print_out


@click.command()
@options.task_id
@click.option("-o", "--output", type=options.DIR, metavar="DIR", help="Copy the inputs to DIR.")
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, output: Path | None, as_json: bool) -> int:
    """Show or copy the inputs of the task ID.

    DIR has the layout of App Engine: `localrun run BUNDLE --inputs DIR` runs a task with the same inputs.
    """
    from localrun.console.regions import region_rows
    from localrun.console.results import print_outputs, value_text

    with context.app() as app:
        workspace, record = app.find(task_id)
        found = CopyResult(record.inputs)
        if output:
            from localrun.api.inputs import InputCopier

            with SignalHandler() as signals:
                make_copier = partial(InputCopier, output, app.settings.disk_stop)
                found = copy_outputs(context, make_copier, (record, workspace), signals)
    if as_json:
        fields: dict[str, Any] = {"id": record.id, "state": str(record.state), "inputs": found.outputs}
        sources = {place: source.as_dict() for place, source in record.sources.items()}
        fields |= {"sources": sources, "regions": record.regions, "folder": record.folder}
        print_json(fields | ({"copy_problems": found.problems} if output else {}))
        return found.code
    print_outputs(found.outputs, [workspace.path, *([output.absolute()] if output else [])])
    for row in record.source_rows:
        print_out(value_text(row))
    for row in region_rows(record):
        print_out(f"region of {value_text(row)}")
    return found.code
