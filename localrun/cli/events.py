"""`localrun events`: show the server's journal, including rotated files."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_err, write

_SHOWN = ("task_id", "assigned_by", "status", "error", "explanation", "reason", "function", "path")


@click.command()
@options.flag("-f", "--follow", help="Show new events until Ctrl+C.")
@click.option(
    "--task",
    "task_id",
    metavar="ID",
    shell_complete=options.complete_task,
    help="Show only events of this task (ID or prefix).",
)
@click.option("--type", "event_type", metavar="TYPE", help="Show only events of this type, e.g. task_error.")
@click.option("--logs", type=options.RAW, metavar="DIR", help="Folder of the journal.  [default: logs]")
@options.flag("--json", "as_json", help="Print each event as one JSON object.")
@pass_context
def command(context: CliContext, /, *, follow: bool, logs: str | None, as_json: bool, **filters: Any) -> None:
    """Show the events in the journal of `localrun serve`, oldest first.

    Heartbeats are only shown with --type heartbeat.
    """
    from localrun import settings

    folder = settings.load(context.environ, home=context.home, logs=logs).logs
    if not folder.is_dir():
        print_err(f"no journal in {folder}; `localrun serve` writes one")
        return
    from localrun.server.journal import Journal

    journal: Journal = Journal(folder)
    for line in journal.follow(**filters, past=True) if follow else journal.read(**filters):
        if not write(sys.stdout, (json.dumps(line) if as_json else _text(line)) + "\n"):
            return  # the reader is gone


def _text(line: Mapping[str, Any]) -> str:
    data = line.get("data")
    facts = data if isinstance(data, dict) else {}
    shown = [f"{key}={facts[key]}" for key in _SHOWN if facts.get(key) not in (None, "")]
    words = (str(line.get("timestamp")), str(line.get("event_type")), *shown)
    return escape_control_chars(" ".join(words).rstrip())
