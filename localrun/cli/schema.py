"""`localrun schema`: print the JSON Schema of descriptors or records."""

from __future__ import annotations

import json

import click

from localrun.cli import options
from localrun.console.streams import print_out


@click.command()
@options.flag("--record", help="Print the schema of task records instead.")
@options.as_json
def command(*, record: bool, as_json: bool) -> None:
    """Print the JSON Schema of descriptors (draft 2019-09) or of task records (draft 2020-12).

    Editors use it to complete keys and to mark mistakes. For editors with yaml-language-server, write it to a
    file and start the descriptor with the line `# yaml-language-server: $schema=FILE`. --json prints it on
    one line.

    --record describes the file task.json of a task, and the task in the output of `localrun run --json`.
    """
    if record:
        from localrun.task.record_schema import schema
    else:
        from localrun.descriptor.json_schema import schema

    print_out(json.dumps(schema(), indent=None if as_json else 2))
