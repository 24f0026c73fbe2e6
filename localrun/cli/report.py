"""`localrun report`: write a task as one HTML file."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click

from localrun import fs
from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.streams import print_err, print_json, print_out
from localrun.errors import UsageError
from localrun.units import format_bytes

_STDOUT = Path("-")


@click.command()
@options.task_id
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    metavar="FILE",
    default=Path("report.html"),
    help="File to write; - for standard output.  [default: report.html]",
)
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, output: Path, as_json: bool) -> None:
    """Write the task ID as one HTML file: state, timeline, log, inputs, outputs and images.

    The file has no scripts, and loads nothing. It contains at most 20 MiB of images and logs, and lists what
    it leaves out. Secrets are masked.
    """
    from localrun.report.page.document import make_report

    if as_json and output == _STDOUT:
        raise UsageError("--json and -o - both write to standard output", remedy="name a file with -o")
    with context.app() as app:
        workspace, record = app.find(task_id)
        with workspace.reading():
            found = make_report(record, workspace, app.replicas(record))
    data = found.html.encode()
    if output == _STDOUT:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        _write(output, data)
    if as_json:
        print_json(
            {"id": record.id, "file": str(output.absolute()), "size": len(data), "omitted": found.omitted}
        )
        return
    for omitted in found.omitted:
        print_err(f"left out: {omitted}")
    if output != _STDOUT:
        print_out(f"wrote {output} ({format_bytes(len(data))})")


def _write(file: Path, data: bytes) -> None:
    """Write a file atomically. Raises `UsageError` if that fails."""
    try:
        with nullcontext(file) if fs.is_special(file) else fs.atomic_file(file) as temp:
            temp.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}", remedy="choose another file") from error
