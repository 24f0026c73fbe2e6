"""`localrun diff`: compare two tasks."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_err, print_json, print_out
from localrun.errors import fold_alike
from localrun.units import format_duration

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.values.compare import Change, ComparedTask

_MAX_LENGTH = 60  # characters of a value


@click.command()
@click.argument("first", metavar="ID", shell_complete=options.complete_task)
@click.argument("second", metavar="ID", shell_complete=options.complete_task)
@options.as_json
@pass_context
def command(context: CliContext, first: str, second: str, as_json: bool) -> int:
    """Compare two tasks: bundle, inputs, options, result and outputs.

    Files are compared by content. The exit code is 1 if the tasks differ in more than IDs, times and paths.
    """
    from localrun.values.compare import ComparedTask, diff_tasks

    with context.app() as app:
        sides = [ComparedTask(record, workspace) for workspace, record in map(app.find, (first, second))]
        found = diff_tasks(*sides)
    if as_json:
        _print_json(sides, found)
    else:
        _print(sides, found)
    return ExitCode.TASK_FAILED if found else ExitCode.FINISHED


def _print_json(sides: Sequence[ComparedTask], found: Sequence[Change]) -> None:
    from localrun.values.compare import diff_durations

    first, second = (side.record for side in sides)
    fields = {
        "first": first.id,
        "second": second.id,
        "same": not found,
        "differences": [change.as_dict() for change in found],
        "timings": diff_durations(first, second),
        "usage": [record.as_dict()["usage"] for record in (first, second)],
    }
    print_json(fields)


def _print(sides: Sequence[ComparedTask], found: Sequence[Change]) -> None:
    from localrun.values.compare import SECTIONS

    first, second = (side.record for side in sides)
    for record in (first, second):
        if not record.state.is_final:
            print_err(f"task {record.short_id} has not ended ({record.state}); comparing its current state")
    for mark, record in (("-", first), ("+", second)):
        print_out(f"{mark} {record.short_id}  {record.state}  {escape_control_chars(record.name) or '-'}")
    _print_sections(found)
    same = [section for section in SECTIONS if section not in {change.section for change in found}]
    if same:
        print_out(f"unchanged: {', '.join(same)}")
    _print_times(first, second)


def _kind(change: Change) -> tuple[str, str]:
    """Return what a change has in common with those of other items of an array, or files of a folder."""
    folder, slash, name = change.path.rpartition("/")
    path = f"{folder}/*{os.path.splitext(name)[1]}" if slash else change.path  # noqa: PTH122 - only a name
    return re.sub(r"\d+", "#", path), re.sub(r"\d+", "#", change.note)


def _print_sections(found: Sequence[Change]) -> None:
    from localrun.values.compare import SECTIONS

    for section in SECTIONS:
        inner = [change for change in found if change.section == section]
        if inner:
            print_out(f"{section}:")
            for change in fold_alike(inner, _kind):
                if isinstance(change, str):
                    print_out(f"  {change}")
                else:
                    _print_change(change)


def print_difference(before: TaskRecord, after: TaskRecord) -> None:
    """Print in what a run differs from the one before."""
    from localrun.task.workspace import Workspace
    from localrun.values.compare import ComparedTask, diff_tasks

    sides = [ComparedTask(record, Workspace(Path(record.folder))) for record in (before, after)]
    found = diff_tasks(*sides)
    print_out(f"{'difference' if found else 'no difference'} to the run before, {before.short_id}")
    _print_sections(found)


def _print_change(change: Change) -> None:
    text = escape_control_chars(change.note) or f"{_format(change.first)} -> {_format(change.second)}"
    print_out(f"  {escape_control_chars(change.path)}: {text}")
    for line in change.details:
        print_out(f"      {escape_control_chars(line)}")


def _format(value: Any) -> str:
    from localrun.console.results import value_text

    if value is None or value == "":
        return "nothing"
    text = value_text(value.partition("\n")[0] if isinstance(value, str) else value)
    return text if len(text) <= _MAX_LENGTH else text[:_MAX_LENGTH] + "..."


def _print_times(first: TaskRecord, second: TaskRecord) -> None:
    from localrun.console.usage import format_usage
    from localrun.values.compare import diff_durations

    print_out("time:")
    for name, (one, other) in diff_durations(first, second).items():
        print_out(f"  {name:<12}{_time(one):>10} -> {_time(other):>10}")
    for mark, record in (("-", first), ("+", second)):
        if used := format_usage(record):
            print_out(f"{mark} {used}")


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(seconds)
