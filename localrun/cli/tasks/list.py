"""`localrun tasks list`: the table of `inductiva tasks list`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from localrun.cli import as_system, options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.tasks.multi_value import MultiValueCommand
from localrun.cli.watch import print_or_watch
from localrun.console.display.sanitize import escape_control_chars, format_columns
from localrun.console.streams import print_err, print_out
from localrun.errors import UsageError
from localrun.task.states import StepName
from localrun.units import format_bytes, format_duration

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord

_SYSTEM = "inductiva"
_LIMIT = 10
_HEADS = ("ID", "NAME", "STATUS", "SUBMITTED", "STARTED", "COMPUTATION TIME", "RESOURCES")
_NOTHING = "no tasks here; run one: `localrun run BUNDLE`"


@click.command(cls=MultiValueCommand)
@click.option("-n", "--last-n", type=click.IntRange(min=1), help="How many at most.  [default: 10]")
@click.option("-a", "--all", "everything", is_flag=True, help="All tasks, not only the newest.")
@click.option(
    "-i",
    "--id",
    "task_ids",
    metavar="ID...",
    multiple=True,
    shell_complete=options.complete_task,
    help="Only these tasks.",
)
@options.watch
@options.as_json
@pass_context
def command(
    context: CliContext,
    *,
    last_n: int | None,
    everything: bool,
    task_ids: tuple[str, ...],
    watch: float | None,
    as_json: bool,
) -> None:
    """List the tasks of this folder, the newest first, in Inductiva's words.

    A `*` before the computation time says that it goes on.
    """
    if sum((last_n is not None, everything, bool(task_ids))) > 1:
        raise UsageError("--last-n, --all and --id exclude each other", remedy="give one of them")
    with context.app() as app:

        def records() -> list[TaskRecord]:
            if task_ids:
                return [app.find(task_id)[1] for task_id in task_ids]
            return app.tasks(None if everything else last_n or _LIMIT)

        if watch is not None:
            print_or_watch(lambda: (_table(records()), True), watch, context.environ, as_json=as_json)
            return
        found = records()
    _print(found, as_json=as_json)


def _print(found: list[TaskRecord], *, as_json: bool) -> None:
    if as_json:
        from localrun.console.results import as_fields, print_json

        print_json([as_fields(record) | as_system.as_fields(record, _SYSTEM) for record in found])
    elif found:
        print_out(_table(found))
    else:
        print_err(_NOTHING)


def _table(records: list[TaskRecord]) -> str:
    return "\n".join(format_columns([_HEADS, *map(_row, records)])) if records else _NOTHING


def _row(record: TaskRecord) -> tuple[str, ...]:
    task = next((step for step in record.steps if step.name == StepName.TASK), None)
    started = task.started if task else None
    ended = (task.finished if task else None) or record.ended_at
    if started is None:
        computed = "-"
    else:
        computed = ("" if ended else "* ") + format_duration(max(0.0, (ended or time.time()) - started))
    asked = record.resources
    return (
        record.short_id,
        escape_control_chars(record.name) or "-",
        as_system.translate(record, _SYSTEM).status,
        _date(record.created_at),
        "-" if started is None else _date(started),
        computed,
        f"{asked.cpus:g} cpus, {format_bytes(asked.memory)}",
    )


def _date(moment: float) -> str:
    return time.strftime("%d/%m, %H:%M:%S", time.localtime(moment))
