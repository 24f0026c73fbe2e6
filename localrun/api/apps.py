"""The `App` behind the handles: one for each folder of tasks, in this process."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localrun import settings
from localrun.app import App
from localrun.task.events import Event
from localrun.task.states import TaskState

START_TIMEOUT = 5.0  # seconds that a script which ends waits for the containers that it is about to start

_Key = tuple[int, Path]  # a process that was forked off must not use the threads and sockets of its parent


class PendingStarts:
    """The tasks that need this process still: their containers are about to start.

    A task whose container runs, or that waits for its turn, is on disk: the next process goes on with it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ids: set[str] = set()

    def on_event(self, event: Event) -> None:
        """The listener."""
        with self._changed:
            if _stands(event):
                self._ids.discard(event.task_id)
                self._changed.notify_all()
            elif event.data.get("state") == TaskState.PROVISIONED:
                self._ids.add(event.task_id)

    def wait(self, timeout: float) -> bool:
        """Block until there are none, for at most `timeout` seconds; whether there are none."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._ids, timeout)


def _stands(event: Event) -> bool:
    if event.kind == "note":
        return bool(event.data.get("waiting"))
    state = event.data.get("state") if event.kind == "state" else None
    return state is not None and (state == TaskState.RUNNING or TaskState(state).is_final)


_lock = threading.Lock()
_apps: dict[_Key, tuple[App, PendingStarts]] = {}


def app_for(home: str | os.PathLike[str] | None = None) -> App:
    """The app of a folder of tasks; None: LOCALRUN_HOME, or `.localrun` where the process is now."""
    return _found(home)[0]


def pending_starts_of(app: App) -> PendingStarts:
    """The tasks of an app that need this process still."""
    return _found(app.settings.home)[1]


def _found(home: str | os.PathLike[str] | None) -> tuple[App, PendingStarts]:
    given = settings.load(os.environ, home=None if home is None else Path(home))
    key = (os.getpid(), given.home)
    with _lock:
        if key not in _apps:
            _apps[key] = (App(given), PendingStarts())
        return _apps[key]


@contextmanager
def using(app: App) -> Iterator[App]:
    """Within it, handles on the folder of `app` use this app: an engine of your own, for example."""
    key = (os.getpid(), app.settings.home)
    with _lock:
        before = _apps.get(key)
        _apps[key] = (app, PendingStarts())
    try:
        yield app
    finally:
        with _lock:
            del _apps[key]
            if before is not None:
                _apps[key] = before


@atexit.register
def _let_start() -> None:
    """A script that submits and ends means its tasks to run: their containers are started first."""
    deadline = time.monotonic() + START_TIMEOUT
    mine = [starts for (pid, _), (_, starts) in list(_apps.items()) if pid == os.getpid()]
    for starts in mine:
        starts.wait(max(0.0, deadline - time.monotonic()))
