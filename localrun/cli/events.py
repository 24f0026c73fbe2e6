"""`localrun events`: the journal, also what was rotated away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_err

if TYPE_CHECKING:
    from localrun.server.journal import Journal, Line

_SHOWN = ("task_id", "assigned_by", "status", "error", "explanation", "reason", "function", "path")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl+C.")
@click.option(
    "--task",
    "task_id",
    metavar="ID",
    shell_complete=options.complete_task,
    help="Only of this task; the start of its id will do.",
)
@click.option("--type", "event_type", metavar="TYPE", help="Only of this type, such as task_error.")
@click.option("--logs", metavar="DIR", help="Where the journal is.  [default: logs]")
@click.option("--json", "as_json", is_flag=True, help="Print each event as one JSON object.")
@pass_context
def command(context: CliContext, /, logs: str | None, as_json: bool, **wanted: Any) -> None:
    """Show what happened, the oldest first: the journal that `localrun serve` writes.

    Heartbeats, which come again and again, are shown with --type heartbeat.
    """
    from localrun import settings

    folder = settings.load(context.environ, home=context.home, logs=logs).logs
    if not folder.is_dir():
        print_err(f"there is no journal in {folder}: `localrun serve` writes one")
        return
    for line in _lines(folder, **wanted):
        if not _print(line, as_json=as_json):
            return


def _lines(folder: Path, *, follow: bool, task_id: str | None, event_type: str | None) -> Iterator[Line]:
    from localrun.server.journal import Journal

    journal: Journal = Journal(folder)
    if follow:
        return journal.follow(task_id=task_id, event_type=event_type, past=True)
    return journal.read(task_id=task_id, event_type=event_type)


def _print(line: Line, *, as_json: bool) -> bool:
    """Whether anybody still reads."""
    import json
    import sys

    from localrun.console.streams import write

    return write(sys.stdout, (json.dumps(line) if as_json else _text(line)) + "\n")


def _text(line: Mapping[str, Any]) -> str:
    data = line.get("data")
    facts = data if isinstance(data, dict) else {}
    shown = [f"{key}={facts[key]}" for key in _SHOWN if facts.get(key) not in (None, "")]
    return escape_control_chars(
        f"{line.get('timestamp')} {line.get('event_type')} {' '.join(shown)}".rstrip()
    )
