"""The end of a task that a command looks at; who follows a task that nobody carries carries it on."""

from __future__ import annotations

import threading
from concurrent import futures
from typing import TYPE_CHECKING

from localrun.console.streams import print_err

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

TaskFuture = futures.Future["TaskRecord"]


def attach(app: App, record: TaskRecord) -> TaskFuture | None:
    """The end of a task, done also when nobody can carry it on; None when it has ended.

    `app` is to be left with `on_exit="leave"`: what is carried on here goes on without us.
    """
    if record.state.is_final:
        return None
    from localrun.api import Task, using

    with using(app):
        return Task(record.id, app.settings.home).end()


def done_event(end: TaskFuture | None) -> threading.Event:
    """The same as an event; set when there is none to wait for."""
    ended = threading.Event()
    if end is None:
        ended.set()
    else:
        end.add_done_callback(lambda _: ended.set())
    return ended


def wait_for_end(end: TaskFuture | None) -> None:
    """Block until then; Ctrl+C is heard."""
    from localrun.api.task import MAX_SLEEP

    while end is not None and not end.done():
        futures.wait([end], MAX_SLEEP)


def warn_if_unfinished(end: TaskFuture | None) -> None:
    """Say when the following is over and the task is not. Raises what kept it from being carried on."""
    record = None if end is None else end.result()
    if record is not None and not record.state.is_final:
        name = record.short_id
        print_err(f"no process carries the task {name} ({record.state}); `localrun kill {name}` ends it")


def warn_if_orphaned(workspace: Workspace) -> None:
    """Say when nobody writes down what a task writes just now."""
    record = workspace.load()
    if record.state.is_final:
        return
    from localrun.task.fate import current_fate

    if current_fate(record).is_resumable:
        print_err(
            f"no process follows the task {record.short_id} just now: "
            "with -f, what it wrote since is shown too"
        )
