"""Wait for a task from a command, resuming it if its process has died."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING

from localrun.console.streams import print_err

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

TaskFuture = futures.Future["TaskRecord"]


def attach(app: App, record: TaskRecord) -> TaskFuture | None:
    """Return a future for the final record of a task, or None if the task has ended.

    It is also done when no process can resume the task. Close `app` with `on_exit="leave"`, so that a task
    that was resumed here continues after the command.
    """
    if record.state.is_final:
        return None
    from localrun.api import Task, using

    with using(app):
        return Task(record.id, app.settings.home).end()


def wait_for_end(end: TaskFuture | None) -> None:
    """Block until the future is done; Ctrl+C interrupts."""
    from localrun.api.waiting import MAX_SLEEP

    while end is not None and not end.done():
        futures.wait([end], MAX_SLEEP)


def warn_if_unfinished(end: TaskFuture | None) -> None:
    """Warn if the task has not ended. Raises the error that prevented resuming it."""
    record = None if end is None else end.result()
    if record is not None and not record.state.is_final:
        name = record.short_id
        print_err(f"no process owns task {name} ({record.state}); `localrun kill {name}` ends it")


def warn_if_orphaned(workspace: Workspace) -> None:
    """Warn if no process is recording the output of a task."""
    record = workspace.load()
    if record.state.is_final:
        return
    from localrun.task.fate import current_fate

    if current_fate(record).is_resumable:
        print_err(f"no process is recording the output of task {record.short_id}; -f includes the rest")
