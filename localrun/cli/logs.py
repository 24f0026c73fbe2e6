"""`localrun logs`: what a task wrote, also while it writes it."""

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
from localrun.console.streams import is_terminal, print_err, print_out

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

_LOOK = 0.1  # seconds between two looks at a growing file, for which the system has no portable event
_STEPS = ("permissions", "task", "outputs")


@click.command()
@options.task_id
@click.option("--step", type=click.Choice(_STEPS), default="task", show_default=True, help="Of which step.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended.")
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, step: str, follow: bool, as_json: bool) -> None:
    """Show what the task ID wrote.

    The steps `permissions` and `outputs` run no program of their own: they show what was done, and how.
    With --follow, a task whose process died is carried on here; Ctrl+C ends the following, not the task.
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
        print_out(_how(record, step))
        return
    from localrun.console.results import print_json

    print_json(
        {"id": record.id, "step": step, "state": str(record.state), **_done(record, step), "log": text}
    )


def _text(workspace: Workspace) -> str:
    try:
        return workspace.log.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _done(record: TaskRecord, step: str) -> dict[str, Any]:
    found = next((each for each in record.steps if each.name == step), None)
    names = ("how", "message", "exit_code", "seconds")
    return {name: getattr(found, name, None) for name in names}


def _how(record: TaskRecord, step: str) -> str:
    done = _done(record, step)
    parts = [escape_lines(str(done[name])) for name in ("how", "message") if done[name]]
    return f"{step}: " + ("; ".join(parts) if parts else "not reached yet, or not at all")


def _print_log(
    workspace: Workspace, record: TaskRecord, context: CliContext, end: TaskFuture | None, *, follow: bool
) -> None:
    plain = is_terminal(sys.stdout, context.environ)
    wrote = False
    for data in read_chunks(workspace.log, done_event(end) if follow else None):
        wrote = True
        _put(data, plain=plain)
    if not wrote and not follow:
        print_err(_nothing(record))


def _nothing(record: TaskRecord) -> str:
    if record.replication is not None:
        return f"its replicas wrote, each for itself: `localrun logs {record.short_id}/1`"
    return f"the task {record.short_id} wrote nothing" + ("" if record.state.is_final else " yet")


def read_chunks(path: Path, ended: threading.Event | None) -> Iterator[bytes]:
    """What is in a file, and what is added to it until `ended` is set; None: only what is there."""
    grown = FileFollower(path)
    while True:
        last = ended is None or ended.is_set()  # asked before reading: what came before the end is read
        yield from grown.read_new()
        if last or ended is None:
            return
        ended.wait(_LOOK)


def _put(data: bytes, *, plain: bool) -> None:
    """On a terminal nothing that it would obey; elsewhere the very bytes."""
    if plain:
        sys.stdout.write(escape_lines(data.decode("utf-8", "replace").replace("\r\n", "\n")))
    else:
        sys.stdout.buffer.write(data)
    sys.stdout.flush()
