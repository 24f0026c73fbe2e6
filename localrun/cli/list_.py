"""`localrun list`: the tasks of this folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import as_system, options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.selection import pop_selection, with_selection
from localrun.cli.watch import print_or_watch
from localrun.console.display.sanitize import escape_control_chars, format_columns
from localrun.console.streams import print_err, print_json, print_out
from localrun.errors import UsageError
from localrun.task import metadata
from localrun.task.record import short_id
from localrun.task.selection import ALL_TASKS
from localrun.units import format_duration

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.task.record import TaskRecord

_MAX_HINTS = 5
_MOST_METADATA = 60  # characters of a row
_MOST_REASON = 100  # characters of what a task waits for
_NO_TASKS = "no tasks in this folder; run one with `localrun run BUNDLE`"
_NO_MATCH = "no task of this folder matches; `localrun list` without filters lists all tasks"

Find = Callable[["App"], Iterable["TaskRecord"]]
Rows = Callable[[list["TaskRecord"]], list[tuple[str, ...]]]


@click.command()
@options.flag("-a", "--all", "everything", help="List all tasks and their replicas.")
@options.with_default("-n", "--limit", type=options.COUNT, default=20, help="Number of tasks to list.")
@with_selection
@options.watch
@as_system.as_system
@options.flag("-q", "--quiet", help="Print only the IDs.")
@options.as_json
@pass_context
def command(
    context: CliContext, /, everything: bool, limit: int, system: str | None, quiet: bool, **rest: Any
) -> None:
    """List the tasks of this folder, newest first."""
    selection = pop_selection(rest)

    def find(app: App) -> Iterable[TaskRecord]:
        if everything:
            return filter(selection.matches, _with_replicas(app))
        return app.tasks(limit, selection)

    if quiet and not rest["as_json"]:
        if rest["watch"] is not None:
            raise UsageError("--quiet and --watch exclude each other", remedy="pass only one of them")
        with context.app() as app:
            for record in find(app):
                print_out(record.id)
        return

    def rows(records: list[TaskRecord]) -> list[tuple[str, ...]]:
        status = "STATE" if system is None else "STATUS"
        heads = ("ID", status, "CAUSE", "NAME", "AGE", "DURATION")
        table = [heads, *(_row(record, system) for record in records)]
        more = (("NODE", _node), ("BATCH", _batch), ("METADATA", _metadata), ("WAITING FOR", _waiting))
        for head, cell in more:
            cells = list(map(cell, records))
            if any(text != "-" for text in cells):
                table = [(*row, text) for row, text in zip(table, [head, *cells], strict=True)]
        return table

    empty = _NO_TASKS if selection == ALL_TASKS else _NO_MATCH
    print_tasks(context, find, rows, system=system, empty=empty, **rest)


def print_tasks(
    context: CliContext,
    find: Find,
    rows: Rows,
    *,
    watch: float | None,
    system: str | None,
    as_json: bool,
    empty: str = _NO_TASKS,
) -> None:
    """Print tasks as a table or as JSON; with `watch`, refresh the table every so many seconds."""

    def table(records: list[TaskRecord]) -> str:
        return "\n".join(format_columns(rows(records))) if records else empty

    with context.app() as app:
        if watch is not None:  # a new task may appear at any time
            print_or_watch(lambda: (table(list(find(app))), True), watch, context.environ, as_json=as_json)
            return
        found = list(find(app))
        nodes = [] if as_json else list(_nodes_of_batches(app))
    if as_json:
        from localrun.console import ownership
        from localrun.console.results import as_fields

        fields = (as_fields(record) | ownership.as_fields(record) for record in found)
        systems = (as_system.as_fields(record, system) for record in found)
        print_json([own | more for own, more in zip(fields, systems, strict=True)])
    else:
        (print_out if found else print_err)(table(found))
        _print_orphans(found)
        for batch, where in nodes:
            print_err(f"rows of batch {batch} run on nodes: {where}; they are listed when they have ended")


def _nodes_of_batches(app: App) -> Iterator[tuple[str, str]]:
    """Yield each batch with rows that run on nodes of a cluster, and how many on which."""
    from localrun.batch.store import BatchStore
    from localrun.console.batch import format_nodes

    store = BatchStore(app.settings.home)
    for batch in store.newest_first():
        if batch.nodes and store.state(batch) == "running":
            yield batch.short_id, format_nodes(batch.nodes)


def _print_orphans(records: list[TaskRecord]) -> None:
    """Say what happens to tasks that seem to run although their process has died."""
    active = [record for record in records if not record.state.is_final]
    if not active:
        return
    from localrun.console.ownership import orphan_hint

    hints = [(record.short_id, hint) for record in active if (hint := orphan_hint(record))]
    for short, hint in hints[:_MAX_HINTS]:
        print_err(f"task {short}: {hint}")
    if len(hints) > _MAX_HINTS:
        print_err(f"{len(hints) - _MAX_HINTS} more tasks whose process has died; see `localrun doctor`")


def _with_replicas(app: App) -> Iterator[TaskRecord]:
    """Yield all tasks, each followed by its replicas."""
    for record in app.tasks():
        yield record
        yield from app.replicas(record)


def _row(record: TaskRecord, system: str | None) -> tuple[str, ...]:
    now = time.time()
    status, cause = as_system.state_and_cause(record, system)
    return (
        ("  " if record.replica else "") + record.short_id,
        status,
        cause or "-",
        escape_control_chars(record.name) or "-",
        format_duration(max(now - record.created, 0.0)),
        format_duration(record.seconds_until(now)),
    )


def _node(record: TaskRecord) -> str:
    return escape_control_chars(record.node) or "-"


def _batch(record: TaskRecord) -> str:
    """Return the batch and the row of a task, such as `3f9c2b1a/12`."""
    if record.batch is None:
        return "-"
    return escape_control_chars(f"{short_id(record.batch.id)}/{record.batch.name or record.batch.row}")


def _waiting(record: TaskRecord) -> str:
    """Return what an active task waits for: inputs, outputs of other tasks, or admission."""
    if record.state.is_final:
        return "-"
    text = escape_control_chars(record.message.removeprefix("waiting for ") or record.waiting_for) or "-"
    return text if len(text) <= _MOST_REASON else f"{text[: _MOST_REASON - 3]}..."


def _metadata(record: TaskRecord) -> str:
    """Return metadata as `sample=A1 run=3`; what is too long ends with an ellipsis."""
    from localrun.console.results import value_text

    found = metadata.of(record).items()
    text = " ".join(f"{escape_control_chars(key)}={value_text(value)}" for key, value in found) or "-"
    return text if len(text) <= _MOST_METADATA else f"{text[: _MOST_METADATA - 3]}..."
