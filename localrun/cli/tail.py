"""`localrun tail`: the ends of files that a task writes."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from functools import partial
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.face import Face, pass_face
from localrun.cli.streams import err
from localrun.errors import UsageError

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.record import TaskRecord
    from localrun.workspace import Workspace

_LINES = 10


@click.command()
@options.task_id
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=_LINES, show_default=True, help="How many of each."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until the task has ended.")
@options.as_json
@pass_face
def command(
    face: Face, task_id: str, files: tuple[str, ...], lines: int, *, follow: bool, as_json: bool
) -> None:
    """Show the last lines of FILEs that the task ID has written, also while it runs.

    A FILE is a path as `localrun list-files ID` shows it; without one, what the program printed is meant.
    With --follow they may also come later.
    """
    with face.app() as app:
        workspace, record = app.find(task_id)
        _refuse_remote(record, files)
        if as_json:
            if follow:
                app.home.wait(record.id)
            _print_json(workspace, files, lines)
            return
        end = _end(app, record) if follow and not record.state.is_end else None
        _tails(workspace, record)(files, lines=lines, end=end, out=sys.stdout)
        if end is not None and not workspace.load().state.is_end:
            err(f"the process of the task {record.id[:8]} is gone; `localrun wait {record.id[:8]}` goes on")


def _refuse_remote(record: TaskRecord, files: tuple[str, ...]) -> None:
    if files and record.remote and not record.state.is_end:
        raise UsageError(
            "the task's engine does not share files with this machine: they come when it has ended",
            remedy=f"wait for it: `localrun wait {record.id[:8]}`; its log is here: leave out the FILE",
        )


def _end(app: App, record: TaskRecord) -> futures.Future[None]:
    """Done once nobody carries the task any more."""
    end: futures.Future[None] = futures.Future()

    def watch() -> None:
        app.home.wait(record.id)
        end.set_result(None)

    # a daemon: a lock cannot be waited for less firmly
    threading.Thread(target=watch, name="watch", daemon=True).start()
    return end


def _tails(workspace: Workspace, record: TaskRecord) -> Callable[..., None]:
    """What writes the ends of files of a task."""
    from localrun.handle.tailing import tail

    return partial(tail, workspace, record.plan.output_folder if record.plan else "/")


def _print_json(workspace: Workspace, files: tuple[str, ...], lines: int) -> None:
    from localrun.cli.results import print_json

    record = workspace.load()
    tail = _tails(workspace, record)
    tail(files, lines=lines, end=None, out=io.StringIO())  # what is wrong with names is told together
    found = []
    for name in files or (workspace.log.name,):
        text = io.StringIO()
        tail((name,) if files else (), lines=lines, end=None, out=text)
        found.append({"name": name, "text": text.getvalue()})
    print_json({"id": record.id, "state": str(record.state), "files": found})
