"""`localrun list`: the tasks of this folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click

from localrun.cli import as_system, options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.watch import print_or_watch
from localrun.console.display.sanitize import escape_control_chars, format_columns
from localrun.console.streams import is_terminal, print_out
from localrun.task.states import TaskState
from localrun.units import format_duration

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.task.record import TaskRecord

_LIMIT = 20
_HEADS = ("ID", "STATE", "CAUSE", "NAME", "AGE", "DURATION")
_HEADS_AS = ("ID", "STATUS", "CAUSE", "NAME", "AGE", "DURATION")
_NOTHING = "no tasks here; run one: `localrun run BUNDLE`"
_STATES = [str(state) for state in TaskState]


@click.command()
@click.option(
    "-a", "--all", "everything", is_flag=True, help="All tasks, not only the newest, and their replicas."
)
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=_LIMIT, show_default=True, help="How many at most."
)
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only tasks in this state.")
@options.watch
@as_system.as_system
@options.as_json
@pass_context
def command(
    context: CliContext,
    *,
    everything: bool,
    limit: int,
    state: str | None,
    watch: float | None,
    system: str | None,
    as_json: bool,
) -> None:
    """List the tasks of this folder, the newest first."""
    with context.app() as app:

        def records() -> list[TaskRecord]:
            found = _with_replicas(app) if everything else islice(_records(app, state), limit)
            return [record for record in found if state in (None, record.state)]

        if watch is not None:
            print_or_watch(lambda: _table(records(), system), watch, context.environ, as_json=as_json)
            return
        found = records()
    if as_json:
        from localrun.console.results import as_fields, print_json

        print_json([as_fields(record) | as_system.as_fields(record, system) for record in found])
    elif found:
        print_out(_table(found, system)[0])
    elif is_terminal(sys.stdout, context.environ):
        print_out(_NOTHING)


def _table(records: list[TaskRecord], system: str | None) -> tuple[str, bool]:
    """The text; it may always become another one: a new task may come."""
    heads = _HEADS if system is None else _HEADS_AS
    rows = [heads, *(_row(record, system) for record in records)]
    return ("\n".join(format_columns(rows)) if records else _NOTHING), True


def _records(app: App, state: str | None) -> Iterator[TaskRecord]:
    for workspace in app.store.newest_first():
        record = workspace.load_or_none()
        if record is not None and record.replica is None and state in (None, record.state):
            yield record


def _with_replicas(app: App) -> Iterator[TaskRecord]:
    """Every task; those that are replicas come after the one that they are of."""
    for record in app.tasks():
        yield record
        yield from app.replicas(record)


def _row(record: TaskRecord, system: str | None) -> tuple[str, ...]:
    now = time.time()
    status, cause = as_system.state_and_cause(record, system)
    duration = (record.ended_at or now) - record.created_at
    return (
        ("  " if record.replica else "") + record.short_id,
        status,
        cause or "-",
        escape_control_chars(record.name) or "-",
        format_duration(max(now - record.created_at, 0.0)),
        format_duration(duration),
    )
