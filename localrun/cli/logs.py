"""`localrun logs`: show a task's log, also while it runs."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun import fs
from localrun.cli import options
from localrun.cli.attach import TaskFuture, attach, wait_for_end, warn_if_orphaned, warn_if_unfinished
from localrun.cli.context import CliContext, pass_context
from localrun.console.display.sanitize import TerminalText, escape_lines
from localrun.console.file_follower import FileFollower
from localrun.console.streams import is_terminal, print_err, print_json, print_out

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

_INTERVAL = 0.1  # seconds between two reads; there is no portable event for a growing file
_STEPS = ("permissions", "task", "outputs")


@click.command()
@options.task_id
@options.with_default("--step", type=click.Choice(_STEPS), default="task", help="Step to show.")
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
            wrote = _print_log(workspace, end, escape=is_terminal(sys.stdout, context.environ))
            if not wrote and not follow:
                print_err(_empty_note(record))
        if follow:
            warn_if_unfinished(end)
        else:
            warn_if_orphaned(workspace)


def _print_at_once(workspace: Workspace, step: str, *, as_json: bool) -> None:
    record = workspace.load()
    found = next((each for each in record.steps if each.name == step), None)
    facts = {name: getattr(found, name, None) for name in ("how", "message", "exit_code", "seconds")}
    if not as_json:
        parts = [escape_lines(str(facts[name])) for name in ("how", "message") if facts[name]]
        print_out(f"{step}: {'; '.join(parts) or 'not reached'}")
        return
    text = _text(workspace) if step == "task" else ""
    print_json({"id": record.id, "step": step, "state": str(record.state), **facts, "log": text})


def _text(workspace: Workspace) -> str:
    try:
        return fs.read_regular(workspace.log).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _print_log(workspace: Workspace, end: TaskFuture | None, *, escape: bool) -> bool:
    """Print the log until the future is done. Return whether there was any output."""
    wrote = False
    text = TerminalText()
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode  # chunks may split a character
    for data in read_chunks(workspace.log, end):
        wrote = True
        if escape:
            sys.stdout.write(text.feed(decode(data)))
        else:
            sys.stdout.buffer.write(data)
        sys.stdout.flush()
    return wrote


def _empty_note(record: TaskRecord) -> str:
    if record.replication is not None:
        return f"each replica has its own log: `localrun logs {record.short_id}/1`"
    return f"task {record.short_id} has written no output" + ("" if record.state.is_final else " yet")


def read_chunks(path: Path, end: futures.Future[Any] | None) -> Iterator[bytes]:
    """Yield the content of a file and what is added until `end` is done; None reads it once."""
    follower = FileFollower(path)
    while True:
        last = end is None or end.done()  # checked before reading, so that the rest is read
        yield from follower.read_new()
        if end is None or last:
            return
        futures.wait([end], _INTERVAL)
