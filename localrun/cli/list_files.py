"""`localrun list-files`: list a task's output files, also while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.watch import print_or_watch
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_err, print_json, print_out
from localrun.units import format_bytes

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace
    from localrun.values.listing import FileEntry, Listing


@click.command()
@options.task_id
@options.flag("-a", "--all", "everything", help="List the inputs and logs, too.")
@options.watch
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, everything: bool, watch: float | None, as_json: bool) -> None:
    """List the output files of the task ID, also while it runs.

    Links, pipes and devices are listed as such and never followed.
    """
    with context.app() as app:
        workspace, record = app.find(task_id)

    def render() -> tuple[str, bool]:
        now = _list_files(workspace, everything=everything)
        return "\n".join(_lines(now)), not workspace.load().state.is_final

    if watch is not None:
        print_or_watch(render, watch, context.environ, as_json=as_json)
        return
    found = _list_files(workspace, everything=everything)
    if as_json:
        print_json(_fields(record, found))
    elif found.entries:
        print_out("\n".join(_lines(found)))
    for note in _notes(record, found):
        print_err(note)


def _list_files(workspace: Workspace, *, everything: bool) -> Listing:
    """List the output folder; with `everything` also the input and log folders."""
    from localrun.values.listing import Listing, list_folder

    if not everything:
        return list_folder(workspace.outputs)
    folders = (workspace.inputs, workspace.outputs, workspace.logs)
    parts = {folder.name: list_folder(folder) for folder in folders}
    entries = (
        replace(one, path=f"{name}/{one.path}") for name, part in parts.items() for one in part.entries
    )
    return Listing(tuple(entries), is_truncated=any(part.is_truncated for part in parts.values()))


def _notes(record: TaskRecord, found: Listing) -> Iterator[str]:
    if found.is_truncated:
        yield f"only {len(found.entries)} files are listed; all files are in {Path(record.folder)}"
    if record.remote and not record.state.is_final:
        yield (
            f"task {record.short_id} runs on a remote engine: its files are available after it ends; "
            f"follow its log with `localrun logs {record.short_id} -f`"
        )
    elif not found.entries:
        yield f"task {record.short_id} has written no files" + ("" if record.state.is_final else " yet")


def _fields(record: TaskRecord, found: Listing) -> dict[str, Any]:
    here = record.state.is_final or not record.remote
    return {
        "id": record.id,
        "state": str(record.state),
        "files": [asdict(entry) for entry in found.entries],
        "size": found.size,
        "complete": here and not found.is_truncated,
        "folder": record.folder,
    }


def _lines(found: Listing) -> Iterator[str]:
    rows = [("SIZE", "WRITTEN", "FILE"), *map(_row, found.entries)]
    size, written = (max(len(row[column]) for row in rows) for column in (0, 1))
    for row in rows:
        yield f"{row[0]:>{size}}  {row[1]:<{written}}  {row[2]}"


def _row(entry: FileEntry) -> tuple[str, str, str]:
    size = format_bytes(entry.size) if entry.kind == "file" else "-"
    written = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.modified))
    return size, written, escape_control_chars(entry.path) + _mark(entry)


def _mark(entry: FileEntry) -> str:
    match entry.kind:
        case "file":
            return ""
        case "folder":
            return f"/  ({entry.problem})" if entry.problem else "/"
        case "link":
            return f" -> {escape_control_chars(entry.target)}  (a link)"
        case kind:
            return f"  (a {kind})"
