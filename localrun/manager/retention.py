"""Deletion of old tasks: `keep`, `max_age` and `max_size`, applied when a task ends.

A task whose result was reused counts as if it had ended then. Tasks of a batch that has not ended are kept.

The facts about ended tasks are cached in HOME/retention.json, so a record is read and its folder measured
once. Listing a large folder takes time nevertheless: at most a twentieth of the time is spent on it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from localrun import fs
from localrun.errors import LocalrunError
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.frozen import decoder
from localrun.task.record import TaskRecord, short_id
from localrun.task.store import TaskStore
from localrun.undecodable import decode_record, encode_record
from localrun.units import format_bytes, format_count, format_duration
from localrun.values.reuse.references import References

_FILE = "retention.json"
_SHARE = 20  # times the duration of the last listing have to go by before the next one
_QUICK = 0.1  # seconds; a folder that is listed faster is listed for every task
_LIMIT = 64 << 20  # bytes of the file
_MOST_NAMED = 5


class _Ended(msgspec.Struct):
    """An ended task: when (seconds since 1970), bytes on the disk, its parent task, the tasks it uses.

    `batch` is the one of its row.
    """

    ended: float
    size: int
    parent: str = ""
    uses: list[str] = msgspec.field(default_factory=list)
    batch: str = ""


class _Cache(msgspec.Struct):
    """The ended tasks by id, and when they were last listed and how long it took (seconds)."""

    tasks: dict[str, _Ended] = msgspec.field(default_factory=dict)
    passed: float = 0.0
    took: float = 0.0


class Retention:
    """Deletes the oldest ended tasks of a folder beyond the limits of the settings. Thread-safe."""

    def __init__(self, store: TaskStore, settings: Settings) -> None:
        self._store = store
        self._keep, self._max_age, self._max_size = settings.keep, settings.max_age, settings.max_size
        self.is_on = any(limit is not None for limit in (self._keep, self._max_age, self._max_size))

    def apply(self, task: ActiveTask) -> list[str]:
        """Delete old tasks because `task` has ended, and return their ids.

        The task itself is kept. An event of the task names the deleted ones. Never raises: a failure is an
        event, too.
        """
        try:
            with fs.try_locked(self._store.tasks) as is_first:  # else another thread or process deletes
                deleted = self._pass(task) if is_first else {}
        except (OSError, LocalrunError) as error:
            reason = error.message if isinstance(error, LocalrunError) else error.strerror
            task.emit("note", f"cannot delete old tasks: {reason}")
            return []
        if deleted:
            size = format_bytes(sum(deleted.values()))
            ids = list(deleted)
            named = ", ".join(map(short_id, ids[:_MOST_NAMED])) + (", ..." if len(ids) > _MOST_NAMED else "")
            what = f"deleted {format_count(len(ids), 'old task')} ({size}; {self._limits()}): {named}"
            task.emit("note", what, deleted=ids)
        return list(deleted)

    def _limits(self) -> str:
        limits = {
            "LOCALRUN_KEEP": self._keep,
            "LOCALRUN_MAX_AGE": None if self._max_age is None else format_duration(self._max_age),
            "LOCALRUN_MAX_SIZE": None if self._max_size is None else format_bytes(self._max_size),
        }
        return ", ".join(f"{name}={value}" for name, value in limits.items() if value is not None)

    def _pass(self, task: ActiveTask) -> dict[str, int]:
        begun = time.time()
        cache = self._load()
        if cache.took > _QUICK and cache.passed <= begun < cache.passed + _SHARE * cache.took:
            return {}
        kept = self._update(cache)
        cache.passed = time.time()
        cache.took = cache.passed - begun
        deleted: dict[str, int] = {}
        for task_id in self._select(cache.tasks, {task.id, *kept}, begun):
            group = [task_id, *(one for one, found in cache.tasks.items() if found.parent == task_id)]
            if self._delete(group):
                deleted[task_id] = sum(cache.tasks.pop(one).size for one in group if one in cache.tasks)
        fs.write_atomic(str(self._store.path / _FILE), encode_record(cache))
        return deleted

    def _load(self) -> _Cache:
        try:
            with fs.open_regular(self._store.path / _FILE) as stream:
                found: _Cache = decode_record(decoder(_Cache), stream.read(_LIMIT))
        except (OSError, ValueError, RecursionError):
            return _Cache()
        return found

    def _update(self, cache: _Cache) -> set[str]:
        """Bring the cache up to date. Return the tasks that may not be deleted because others use them."""
        names = set(os.listdir(self._store.tasks))  # noqa: PTH208 - names
        cache.tasks = {name: found for name, found in cache.tasks.items() if name in names}
        kept: set[str] = set()
        for name in names - cache.tasks.keys():
            workspace = self._store.find(name)
            record = workspace.load_or_none() if workspace else None
            if workspace is None or record is None:
                continue
            if record.state.is_final:
                cache.tasks[name] = self._measure(record, fs.disk_usage(workspace.path))
            else:
                kept |= {name, *self._uses(record), record.replica.parent_id if record.replica else name}
        references = References(self._store.path)
        for name, found in cache.tasks.items():
            kept.update(found.uses)
            found.ended = max(found.ended, references.last_use(name))
            if references.has_open_batch(name, found.batch):
                kept.add(name)
        return kept

    def _measure(self, record: TaskRecord, size: int) -> _Ended:
        parent = record.replica.parent_id if record.replica else ""
        batch = record.batch.id if record.batch else ""
        return _Ended(record.ended or record.created, size, parent, sorted(self._uses(record)), batch)

    def _uses(self, record: TaskRecord) -> set[str]:
        """Return the other tasks whose files are the bundle or inputs of a task."""
        plan = record.run_plan
        texts = [plan.bundle, plan.context, plan.dockerfile, *(source for source, _ in plan.mounts)]
        texts += _strings(record.inputs)
        below = f"{self._store.tasks}/"
        found = {text.removeprefix(below).partition("/")[0] for text in texts if text.startswith(below)}
        found |= {source.task for source in record.sources.values() if source.task}
        return found - {record.id, *(record.replication.ids if record.replication else ())}

    def _select(self, tasks: dict[str, _Ended], kept: set[str], now: float) -> Iterator[str]:
        """Yield the tasks beyond a limit, the oldest first."""
        # replicas are deleted with their parent task, which may not have ended yet
        sizes = {
            name: found.size
            for name, found in tasks.items()
            if found.parent not in tasks and found.parent not in kept
        }
        for found in tasks.values():
            if found.parent in sizes:
                sizes[found.parent] += found.size
        oldest_first = sorted(sizes, key=lambda name: tasks[name].ended)
        count, total = len(sizes), sum(sizes.values())
        for name in oldest_first:
            is_beyond = (
                (self._keep is not None and count > self._keep)
                or (self._max_size is not None and total > self._max_size)
                or (self._max_age is not None and tasks[name].ended < now - self._max_age)
            )
            if is_beyond and name not in kept:
                count, total = count - 1, total - sizes[name]
                yield name

    def _delete(self, ids: list[str]) -> bool:
        """Delete a task and its replicas, unless one is active or being read."""
        if any(self._store.is_active(task_id) for task_id in ids):
            return False
        with suppress(OSError, LocalrunError):
            for task_id in ids:
                workspace = self._store.open(task_id)
                with fs.try_locked(workspace.path) as is_locked:
                    if not is_locked:
                        return False
                    self._store.remove(workspace)
            return True
        return False


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
