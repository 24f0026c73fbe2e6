"""The result of a task: as a JSON record, as plain lines, or as a table."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localrun import fs
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import is_terminal, print_out, shows_unicode
from localrun.console.usage import format_usage
from localrun.errors import Cause, LocalrunError
from localrun.task import metadata
from localrun.units import format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from localrun.settings.options import ReuseChoice
    from localrun.task.active import ActiveTask
    from localrun.task.record import StepRecord, TaskRecord

Fields = dict[str, Any]

KEYS = (
    *("id", "bundle", "image", "state", "cause", "message", "remedy", "exit_code"),
    *("inputs", "outputs", "problems", "warnings", "steps", "timings", "usage", "folder"),
)
_WHOLE, _SHOWN = 30, 10  # items of an array that a table shows whole, and of a longer one
_OPTIONAL = (
    *("sources", "regions", "crops", "replica", "replication"),
    *("platform", "gpu_devices", "metadata", "rerun_of", "batch", "node"),
)


def as_fields(record: TaskRecord) -> Fields:
    """Return the JSON record of a task. The order of the keys is part of the format."""
    plain = record.as_dict()
    plain["image"] = record.image or record.image_name or None
    plain["metadata"] = metadata.of(record)
    plain["steps"] = [_step_fields(step) for step in record.steps]
    more = {key: plain[key] for key in _OPTIONAL if plain.get(key)}
    return {key: plain[key] for key in KEYS} | more


def reuse_fields(choice: ReuseChoice, task: ActiveTask) -> Fields:
    """Return the JSON fields about a reused result, if one was asked for."""
    if choice == "no":
        return {}
    return {"reused": task.reused} | ({} if task.reused else {"not_reused": list(task.not_reused)})


def _step_fields(step: StepRecord) -> Fields:
    return {**step.as_dict(), "seconds": step.seconds}


def failure_fields(error: LocalrunError, bundle: str | None = None) -> Fields:
    """Return the JSON record of a command that failed before it created a task."""
    found: Fields = dict.fromkeys(KEYS)
    found |= {"inputs": {}, "outputs": {}, "steps": [], "timings": {}, "bundle": bundle}
    found["warnings"] = error.facts.get("warnings", [])
    found["state"] = "KILLED" if error.cause is Cause.KILLED else "FAILED"
    found |= {"cause": str(error.cause), "message": error.message, "remedy": error.remedy}
    found["problems"] = [problem.as_dict() for problem in error.problems]
    return found


def value_text(value: Any) -> str:
    """Format a value as one line: a string as it is, anything else as JSON."""
    return escape_control_chars(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def output_size(value: Any, folder: Path) -> int | None:
    """Return the size in bytes of a file or folder output below `folder`; None for any other value."""
    if not isinstance(value, str) or not value.startswith(f"{folder}/"):
        return None
    try:
        status = os.lstat(value)
    except (OSError, ValueError):
        return None
    return fs.folder_size(Path(value)) if stat.S_ISDIR(status.st_mode) else status.st_size


def total_seconds(record: TaskRecord) -> float | None:
    """Return the seconds from reading the bundle to the end of the task."""
    return None if record.ended is None else record.ended - record.created + record.timings.get("bundle", 0.0)


def _locate(value: Any, folders: Iterable[Path]) -> tuple[str, str] | None:
    """Return the path and the formatted size of an output that is a file, a folder or an array of files."""
    path = _path_of(value)
    sizes = (output_size(path, folder) for folder in folders)
    size = next((size for size in sizes if size is not None), None)
    if path is None or size is None:
        return None
    count = f"{format_count(len(value), 'item')}, " if isinstance(value, list) else ""
    return path, f"{count}{format_bytes(size)}"


def _path_of(value: Any) -> str | None:
    """Return the path that a value holds; for an array of files, their common folder."""
    if isinstance(value, str):
        return value
    found = {_path_of(item) for item in value} if isinstance(value, list) else set()
    parents = {path and path.rpartition("/")[0] for path in found}
    return parents.pop() if len(parents) == 1 else None


def output_lines(outputs: Mapping[str, Any], folders: Iterable[Path]) -> Iterator[str]:
    """Yield `name: value` per output; files with their size, an array of files as its folder."""
    known = list(folders)
    for name, value in outputs.items():
        place = _locate(value, known)
        yield f"{name}: " + (
            value_text(value) if place is None else f"{escape_control_chars(place[0])} ({place[1]})"
        )


def print_outputs(outputs: Mapping[str, Any], folders: Iterable[Path]) -> None:
    for line in output_lines(outputs, folders):
        print_out(line)


def print_result(
    record: TaskRecord, outputs: Mapping[str, Any], folders: Iterable[Path], environ: Mapping[str, str]
) -> None:
    """Print the result of a run: a table on a terminal, plain lines elsewhere."""
    if is_terminal(sys.stdout, environ):
        from localrun.console.display.terminal import make_console

        unicode = shows_unicode(sys.stdout, environ)
        print_table(make_console(sys.stdout), record, outputs, folders, separator=" · " if unicode else ", ")
    else:
        print_plain(record, outputs, folders)


def print_plain(record: TaskRecord, outputs: Mapping[str, Any], folders: Iterable[Path]) -> None:
    for line in output_lines(outputs, folders):
        print_out(f"output {line}")
    print_out(f"time {_times(record)}")
    if used := format_usage(record):
        print_out(f"usage {used}")
    print_out(f"folder {record.folder}")
    print_out(f"{record.state} {record.id}")


def _times(record: TaskRecord, separator: str = ", ") -> str:
    parts = [
        f"{name} {format_duration(seconds)}" for name, seconds in record.timings.items() if seconds >= 0.0005
    ]
    return f"{format_duration(total_seconds(record) or 0.0)}: {separator.join(parts)}"


def print_table(
    console: Console,
    record: TaskRecord,
    outputs: Mapping[str, Any],
    folders: Iterable[Path],
    separator: str = ", ",
) -> None:
    from rich.table import Table
    from rich.text import Text

    known = list(folders)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    colour = "green" if record.cause is None else "red"
    table.add_row("task", Text.assemble((str(record.state), f"bold {colour}"), f" {record.short_id}"))
    for name, value in outputs.items():
        table.add_row(*_cells(name, value, known))
    table.add_row("time", Text(_times(record, separator)))
    if used := format_usage(record):
        table.add_row("usage", Text(used))
    table.add_row("folder", Text(shorten_path(record.folder)))
    console.print(table, soft_wrap=False)


def _cells(name: str, value: Any, folders: Iterable[Path]) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(escape_control_chars(name), "bold not dim")
    place = _locate(value, folders)
    if place is None:
        yield Text(_folded(value))
    else:
        yield Text.assemble(escape_control_chars(shorten_path(place[0])), (f"  {place[1]}", "dim"))


def _folded(value: Any) -> str:
    """Format a value; of a long array only its first items, and the number of all."""
    if not isinstance(value, list) or len(value) <= _WHOLE:
        return value_text(value)
    return f"[{', '.join(value_text(item) for item in value[:_SHOWN])}, ...]  {len(value)} items"


def shorten_path(path: str) -> str:
    """Return a path relative to the working directory if it is below it."""
    here = f"{Path.cwd()}/"
    return path.removeprefix(here) if path.startswith(here) else path
