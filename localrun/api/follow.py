"""What a task does, shown as it goes, whichever process carries it."""

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

_LOOK = 0.1  # seconds between two looks at files that another process writes: they tell us nothing

DeferSignals = Callable[[], AbstractContextManager[object]]


def follow(
    workspace: Workspace,
    end: futures.Future[Any],
    show: Listener,
    *,
    timeout: float | None = None,
    defer_signals: DeferSignals = nullcontext,
) -> None:
    """Show what happens to a task until its `end` is done, beginning with what has happened.

    `shield` makes a context for the moments that an exception from a signal handler must not tear. Raises
    `TimeoutError` after `timeout` seconds.
    """
    replay = Replay(workspace)
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    while True:
        last = end.done()  # asked before looking: what came before the end is seen
        with defer_signals():
            events = list(replay.new_events())
        for event in events:
            show(event)
        if last:
            return
        if time.monotonic() >= deadline:
            raise TimeoutError(f"the task {workspace.short_id} has not ended after {timeout:g} s")
        futures.wait([end], _LOOK)


def show_until_done(workspace: Workspace, end: futures.Future[Any], timeout: float | None) -> None:
    """Show it on standard error, as `localrun wait` does, and why it failed. Raises as `follow`."""
    record = workspace.load()
    display = display_for(sys.stderr, os.environ)
    display.start(record.name or record.id)
    try:
        follow(workspace, end, display.show, timeout=timeout)
    finally:
        display.finish()
    record = workspace.load()
    if record.cause:
        report_task(record, os.environ)
