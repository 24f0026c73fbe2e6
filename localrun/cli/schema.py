"""`localrun schema`: print the JSON Schema of descriptors for editors."""

from __future__ import annotations

import json

import click

from localrun.cli import options
from localrun.console.streams import print_out


@click.command()
@options.as_json
def command(*, as_json: bool) -> None:
    """Print the JSON Schema (draft 2019-09) of descriptors.

    Editors use it to complete keys and to mark mistakes. For editors with yaml-language-server, write it to a
    file and start the descriptor with the line `# yaml-language-server: $schema=FILE`. --json prints it on
    one line.
    """
    from localrun.descriptor.json_schema import schema

    print_out(json.dumps(schema(), indent=None if as_json else 2))
