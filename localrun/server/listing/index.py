"""The rows of all tasks in memory, so that a list of 10,000 tasks is searched without reading files.

An ended task does not change. A request reads the records of active tasks only, and those of tasks that have
ended or appeared since the last one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from localrun.report.details.rows import Row, complete_row, task_row
from localrun.task.record import TaskRecord

if TYPE_CHECKING:
    from localrun.app import App

_CLOCK_TICK = 2.0  # seconds within which a folder may change again without a new modification time


class IndexedTask(msgspec.Struct, frozen=True):
    """A task in the index: its row, and the lower-case text that a search looks at."""

    record: TaskRecord
    row: Row
    text: str

    @property
    def order(self) -> tuple[float, str]:
        return self.record.created, self.record.id


class TaskIndex:
    """All tasks of the folder with readable records, newest first. Thread-safe.

    `on_removed` is called with the id of a task that was deleted.
    """

    def __init__(self, app: App, on_removed: Callable[[str], None] = lambda _: None) -> None:
        self._app = app
        self._on_removed = on_removed
        self._lock = threading.Lock()
        self._tasks: dict[str, IndexedTask] = {}
        self._sorted: list[IndexedTask] | None = []
        self._unread: set[str] = set()  # without a readable record: perhaps it is being written
        self._modified = 0  # of the folder of tasks, in nanoseconds

    def tasks(self) -> list[IndexedTask]:
        """Return all tasks as they are now, newest first."""
        with self._lock:
            removed = self._refresh()
            if self._sorted is None:
                self._sorted = sorted(self._tasks.values(), key=lambda task: task.order, reverse=True)
            found = self._sorted
        for task_id in removed:
            self._on_removed(task_id)
        return found

    def complete(self, tasks: Iterable[IndexedTask]) -> list[Row]:
        """Return the rows of a few tasks, with what is not part of their records."""
        store = self._app.store
        return [complete_row(task.row, task.record, store.open(task.record.id)) for task in tasks]

    def _refresh(self) -> list[str]:
        store, own = self._app.store, self._app.manager.get_all_active_tasks()
        records = {task.id: task.record for task in own}
        changed = {task_id for task_id, task in self._tasks.items() if not task.record.state.is_final}
        changed |= self._unread.union(store.active_ids())
        removed: list[str] = []
        names = self._names()
        if names is not None:
            removed = list((self._tasks.keys() | self._unread) - names)
            for task_id in removed:
                self._tasks.pop(task_id, None)
                self._sorted = None
            changed = (changed | (names - self._tasks.keys())) & names
        self._unread = set()
        for task_id in changed | records.keys():
            record = records.get(task_id) or store.open(task_id).load_or_none()
            if record is None:
                self._unread.add(task_id)
            else:
                self._put(record)
        return removed

    def _names(self) -> set[str] | None:
        """Return the names of all folders of tasks, or None if none was added or deleted."""
        path = self._app.store.tasks
        try:
            modified = path.stat().st_mtime_ns
            if modified == self._modified and time.time() - modified / 1e9 > _CLOCK_TICK:
                return None
            names = os.listdir(path)  # noqa: PTH208 - names
        except FileNotFoundError:
            return set()
        self._modified = modified
        return set(names)

    def _put(self, record: TaskRecord) -> None:
        known = self._tasks.get(record.id)
        if known is None or known.record is not record:
            self._tasks[record.id] = IndexedTask(record, row := task_row(record), _text(row))
            self._sorted = None


def _text(row: Row) -> str:
    values = (f"{value['name']} {value.get('text', '')}" for value in row["values"])
    keys = ("id", "name", "bundle", "cause", "message", "assigned_by")
    return "\n".join([*(str(row[key] or "") for key in keys), *values]).casefold()
