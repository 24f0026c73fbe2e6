"""Follows the folder of tasks while clients read the feed: tasks of other processes, and resource usage.

The kernel reports changes of the folders, so nothing is polled while no task runs. Where it cannot (some
network file systems, the limit of watches), the folders are looked at once a second.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from localrun.runner.usage import last_sample
from localrun.server.feed.event_feed import EventFeed
from localrun.server.feed.folder_watch import FolderWatch
from localrun.server.feed.task_feed import EventFile, TaskFeed
from localrun.task.process import current_process
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState

if TYPE_CHECKING:
    from localrun.app import App

_INTERVAL = 1.0  # seconds between two samples of usage, and between two looks without notifications
_LINGER = 60.0  # seconds after the last client, in which a client can come back and miss nothing


class FolderFollower:
    """Publishes the events of other processes, deleted tasks, and the usage of running tasks.

    A thread does so while clients read the feed, and for a minute afterwards. `refresh` looks for deleted
    tasks. Thread-safe.
    """

    def __init__(self, app: App, feed: EventFeed, tasks: TaskFeed, refresh: Callable[[], object]) -> None:
        self._app = app
        self._store = app.store
        self._feed = feed
        self._tasks = tasks
        self._refresh = refresh
        self._lock = threading.Lock()
        self._wake_lock = threading.Lock()  # apart: the thread of a task takes it
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._until = 0.0  # time of a monotonic clock
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def touch(self) -> None:
        """Follow for the next minute at least. Later events are published. Blocks while tasks are read."""
        with self._lock:
            self._until = time.monotonic() + _LINGER
            if self._thread is None and not self._is_closed:
                self._feed.mark_gap()  # other processes were not followed until now
                look = _Look(self._app, self._feed, self._tasks)
                look.read()
                thread = threading.Thread(target=self._run, args=(look,), name="folder-follower", daemon=True)
                thread.start()
                self._thread = thread

    def wake(self) -> None:
        """Look at once: a task of this process has changed its state."""
        with self._wake_lock:
            if self._wakeup >= 0:
                os.eventfd_write(self._wakeup, 1)

    def close(self) -> None:
        """Stop, and wait until the thread has ended."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        self.wake()
        if thread is not None:
            thread.join()
        with self._wake_lock:
            if self._wakeup >= 0:
                os.close(self._wakeup)
                self._wakeup = -1

    def _run(self, look: _Look) -> None:
        with closing(watch) if (watch := _new_watch()) is not None else nullcontext():
            while not self._ends():
                changed = None if watch is None else look.watch_folders(watch)
                if changed is None or self._store.tasks in changed:
                    self._refresh()
                look.read()
                is_complete = watch is not None and look.is_complete
                self._wait(watch, _LINGER if is_complete and not look.running else _INTERVAL)

    def _ends(self) -> bool:
        with self._lock:
            if self._feed.has_readers:
                self._until = time.monotonic() + _LINGER
            if not self._is_closed and time.monotonic() < self._until:
                return False
            self._thread = None
            return True

    def _wait(self, watch: FolderWatch | None, seconds: float) -> None:
        """Wait for a change, a wakeup, or the time."""
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        if watch is not None:
            poll.register(watch, select.POLLIN)
        poll.poll(seconds * 1000)
        with suppress(BlockingIOError):
            os.eventfd_read(self._wakeup)


class _Look:
    """What is known of the tasks of the folder, from one look to the next."""

    def __init__(self, app: App, feed: EventFeed, tasks: TaskFeed) -> None:
        self._app = app
        self._store = app.store
        self._feed = feed
        self._tasks = tasks
        self._files: dict[str, EventFile] = {}
        self._sampled: dict[str, float] = {}  # the time of the last published sample
        self._is_first = True
        self._watched: set[Path] = set()
        self.running: list[str] = []
        self.is_complete = False  # whether every change wakes the thread

    def watch_folders(self, watch: FolderWatch) -> set[Path]:
        """Watch the folders of tasks of other processes, and return those in which something has changed."""
        changed = watch.changes()
        tasks = {self._store.open(task_id).path for task_id in self._files}
        wanted = {self._store.path, self._store.tasks, self._store.active, *tasks}
        self._watched &= wanted
        for folder in wanted - self._watched:
            with suppress(OSError):  # it does not exist yet, or there are too many watches
                watch.add(folder)
                self._watched.add(folder)
                changed.add(folder)
        self.is_complete = self._watched in (wanted, {self._store.path})  # without tasks
        watch.keep(self._watched)
        return changed

    def read(self) -> None:
        """Publish the new events of other processes, and the usage of running tasks."""
        active = set(self._store.active_ids())
        own = {task.id: task.record for task in self._app.manager.get_all_active_tasks()}
        records = [record for task_id in active if (record := own.get(task_id) or self._load(task_id))]
        for record in records:
            is_other = record.id not in own and record.owner != current_process()
            if is_other and record.id not in self._files:
                path = self._store.open(record.id).events
                self._files[record.id] = EventFile(path, past=not self._is_first)
                self.is_complete = False  # its folder is not watched yet
        self.is_complete &= len(records) == len(active)
        self._is_first = False
        for task_id, file in list(self._files.items()):
            for event in file.read():
                self._tasks.publish(event)
            if task_id not in active or task_id in own:
                del self._files[task_id]
        self.running = [record.id for record in records if record.state is TaskState.RUNNING]
        self._publish_usage()

    def _load(self, task_id: str) -> TaskRecord | None:
        return self._store.open(task_id).load_or_none()

    def _publish_usage(self) -> None:
        self._sampled = {task_id: at for task_id, at in self._sampled.items() if task_id in self.running}
        for task_id in self.running:
            sample = last_sample(self._store.open(task_id).usage)
            if sample is not None and self._sampled.get(task_id) != sample.time:
                self._sampled[task_id] = sample.time
                content: dict[str, Any] = {
                    "kind": "usage",
                    "task_id": task_id,
                    "message": "",
                    "data": msgspec.structs.asdict(sample),
                    "time": sample.time,
                }
                self._feed.publish("usage", partial(dict, content))


def _new_watch() -> FolderWatch | None:
    try:
        return FolderWatch()
    except (OSError, AttributeError):  # too many watches of this user, or a kernel without them
        return None
