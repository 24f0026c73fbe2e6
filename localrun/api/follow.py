"""Follow a task of any process and show its events."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent import futures
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from localrun.console.display.base import display_for
from localrun.console.display.replay import Replay
from localrun.console.report import report_task
from localrun.task.events import Listener
from localrun.task.workspace import Workspace

_POLL_INTERVAL = 0.1  # seconds; there is no portable notification for files of another process

DeferSignals = Callable[[], AbstractContextManager[object]]


def follow(
    workspace: Workspace,
    end: futures.Future[Any],
    show: Listener,
    *,
    timeout: float | None = None,
    refresh: Callable[[], None] = lambda: None,
    defer_signals: DeferSignals = nullcontext,
) -> None:
    """Show past and new events of a task until `end` is done. `refresh` is called between them.

    `defer_signals` returns a context that must not be interrupted by an exception from a signal handler.
    Raises `TimeoutError` after `timeout` seconds.
    """
    replay = Replay(workspace)
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    while True:
        last = end.done()  # checked before reading, so no event before the end is missed
        with defer_signals():
            events = list(replay.new_events())
        for event in events:
            show(event)
        if last:
            return
        refresh()
        if time.monotonic() >= deadline:
            raise TimeoutError(f"task {workspace.short_id} has not ended after {timeout:g} s")
        futures.wait([end], _POLL_INTERVAL)


def show_until_done(workspace: Workspace, end: futures.Future[Any], timeout: float | None) -> None:
    """Show a task on standard error, as `localrun wait` does, and why it failed. Raises as `follow`."""
    record = workspace.load()
    display = display_for(sys.stderr, os.environ)
    display.start(record.name or record.id)
    try:
        follow(workspace, end, display.show, timeout=timeout, refresh=display.refresh)
    finally:
        display.finish()
    record = workspace.load()
    if record.cause:
        report_task(record, os.environ)
