"""`localrun logs`: show a task's log, also while it runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.attach import (
    TaskFuture,
    attach,
    done_event,
    wait_for_end,
    warn_if_orphaned,
    warn_if_unfinished,
)
from localrun.cli.context import CliContext, pass_context
from localrun.console.display.sanitize import escape_lines
from localrun.console.file_follower import FileFollower
from localrun.console.streams import is_terminal, print_err, print_json, print_out

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

_INTERVAL = 0.1  # seconds between two reads; there is no portable event for a growing file
_STEPS = ("permissions", "task", "outputs")


@click.command()
@options.task_id
@click.option("--step", type=click.Choice(_STEPS), default="task", show_default=True, help="Step to show.")
@options.flag("-f", "--follow", help="Follow the log until the task ends.")
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, step: str, follow: bool, as_json: bool) -> None:
    """Show the log of the task ID.

    The steps `permissions` and `outputs` do not run a program: for them, localrun's actions are shown. With
    --follow, a task whose process has died is resumed here. Ctrl+C stops following, not the task.
    """
    with context.app(on_exit="leave") as app:
        workspace, record = app.find(task_id)
        end = attach(app, record) if follow else None
        context.on_imported()
        if as_json or step != "task":
            wait_for_end(end)
            _print_at_once(workspace, step, as_json=as_json)
        else:
            _print_log(workspace, record, context, end, follow=follow)
        if follow:
            warn_if_unfinished(end)
        else:
            warn_if_orphaned(workspace)


def _print_at_once(workspace: Workspace, step: str, *, as_json: bool) -> None:
    record = workspace.load()
    text = _text(workspace) if step == "task" else ""
    if not as_json:
        print_out(_step_text(record, step))
        return
    print_json(
        {"id": record.id, "step": step, "state": str(record.state), **_step_fields(record, step), "log": text}
    )


def _text(workspace: Workspace) -> str:
    try:
        return workspace.log.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _step_fields(record: TaskRecord, step: str) -> dict[str, Any]:
    found = next((each for each in record.steps if each.name == step), None)
    names = ("how", "message", "exit_code", "seconds")
    return {name: getattr(found, name, None) for name in names}


def _step_text(record: TaskRecord, step: str) -> str:
    done = _step_fields(record, step)
    parts = [escape_lines(str(done[name])) for name in ("how", "message") if done[name]]
    return f"{step}: " + ("; ".join(parts) if parts else "not reached")


def _print_log(
    workspace: Workspace, record: TaskRecord, context: CliContext, end: TaskFuture | None, *, follow: bool
) -> None:
    escape = is_terminal(sys.stdout, context.environ)
    wrote = False
    for data in read_chunks(workspace.log, done_event(end) if follow else None):
        wrote = True
        _write(data, escape=escape)
    if not wrote and not follow:
        print_err(_empty_note(record))


def _empty_note(record: TaskRecord) -> str:
    if record.replication is not None:
        return f"each replica has its own log: `localrun logs {record.short_id}/1`"
    return f"task {record.short_id} has written no output" + ("" if record.state.is_final else " yet")


def read_chunks(path: Path, ended: threading.Event | None) -> Iterator[bytes]:
    """Yield the content of a file and what is added until `ended` is set; None reads it once."""
    follower = FileFollower(path)
    while True:
        last = ended is None or ended.is_set()  # checked before reading, so that the rest is read
        yield from follower.read_new()
        if last or ended is None:
            return
        ended.wait(_INTERVAL)


def _write(data: bytes, *, escape: bool) -> None:
    """Write the raw bytes, or escape control characters on a terminal."""
    if escape:
        sys.stdout.write(escape_lines(data.decode("utf-8", "replace").replace("\r\n", "\n")))
    else:
        sys.stdout.buffer.write(data)
    sys.stdout.flush()
