"""The `App` objects behind task handles: one per task folder and process."""

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
from localrun.settings import Settings
from localrun.task.events import Event
from localrun.task.states import TaskState

START_TIMEOUT = 5.0  # seconds an exiting script waits for pending container starts

_Key = tuple[int, Path]  # the pid, because a forked process cannot use its parent's threads and sockets


class PendingStarts:
    """The tasks whose containers this process is about to start.

    Tasks that run or are queued are saved on disk, so another process can resume them.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ids: set[str] = set()

    def on_event(self, event: Event) -> None:
        """Update the pending tasks; the event listener."""
        with self._changed:
            if _is_resumable(event):
                self._ids.discard(event.task_id)
                self._changed.notify_all()
            elif event.data.get("state") == TaskState.PROVISIONED:
                self._ids.add(event.task_id)

    def wait(self, timeout: float) -> bool:
        """Block until no start is pending, for at most `timeout` seconds. Return whether none is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._ids, timeout)


def _is_resumable(event: Event) -> bool:
    if event.kind == "note":
        return bool(event.data.get("waiting"))
    state = event.data.get("state") if event.kind == "state" else None
    return state is not None and (state == TaskState.RUNNING or TaskState(state).is_final)


_lock = threading.Lock()
_apps: dict[_Key, tuple[App, PendingStarts]] = {}
_used: dict[_Key, App] = {}  # those of `using`


def app_for(home: str | os.PathLike[str] | None = None) -> App:
    """Return the app of a task folder. None: LOCALRUN_HOME, or `.localrun` in the working directory."""
    return _get_or_create(home)[0]


def pending_starts_of(app: App) -> PendingStarts:
    return _get_or_create(app.settings.home)[1]


def settings_for(home: str | os.PathLike[str] | None = None) -> Settings:
    """Return the settings for a new task: those of the app that is in use, else as they are now.

    Raises `UsageError` with every invalid one.
    """
    loaded = _load(home)
    with _lock:
        app = _used.get((os.getpid(), loaded.home))
    return loaded if app is None else app.settings


def _load(home: str | os.PathLike[str] | None) -> Settings:
    return settings.load(os.environ, home=None if home is None else Path(home))


def _get_or_create(home: str | os.PathLike[str] | None) -> tuple[App, PendingStarts]:
    loaded = _load(home)
    key = (os.getpid(), loaded.home)
    with _lock:
        if key not in _apps:
            _apps[key] = (App(loaded), PendingStarts())
        return _apps[key]


@contextmanager
def using(app: App) -> Iterator[App]:
    """Use `app` for all task handles on its folder, for example to use another engine."""
    key = (os.getpid(), app.settings.home)
    with _lock:
        before = _apps.get(key)
        used_before = _used.get(key)
        _apps[key] = (app, PendingStarts())
        _used[key] = app
    try:
        yield app
    finally:
        with _lock:
            del _apps[key], _used[key]
            if before is not None:
                _apps[key] = before
            if used_before is not None:
                _used[key] = used_before


@atexit.register
def _wait_for_starts() -> None:
    """Wait for pending container starts, so tasks of a script that exits after `submit` still run."""
    deadline = time.monotonic() + START_TIMEOUT
    own = [starts for (pid, _), (_, starts) in list(_apps.items()) if pid == os.getpid()]
    for starts in own:
        starts.wait(max(0.0, deadline - time.monotonic()))
