"""Plan and delete what is no longer needed: ended tasks, and leftovers of dead processes."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from localrun import fs
from localrun.admission.ledger import Ledger
from localrun.engines.base import Engine
from localrun.errors import EngineUnreachable
from localrun.maintenance import leftovers
from localrun.task.dependents import dependents, named
from localrun.task.fate import Fate, current_fate
from localrun.task.record import TaskRecord, short_id
from localrun.task.store import TaskStore
from localrun.units import format_bytes, format_count, format_duration
from localrun.values.reuse.index import ReuseIndex
from localrun.values.reuse.references import KnownBatch, References

PruneKind = Literal["task", "batch", "dead", "container", "image", "file", "cache"]

KINDS: tuple[PruneKind, ...] = ("task", "batch", "dead", "container", "image", "file", "cache")
DEFAULT_KINDS: frozenset[PruneKind] = frozenset(KINDS) - {"cache"}
_CACHES = ("bundles", "documents", "archives", "digests", "folders", "images")  # only these are deleted


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """What to delete.

    `older_than` is the minimum time in seconds since a task ended or its result was reused, and since a batch
    was changed. `keep` is the number of ended tasks to keep, the newest first, and of batches. Without
    either, none of them is deleted. A task that the results of a kept batch name is never deleted.
    `all_folders` includes images that no task of this folder used, and containers without a record of their
    task.
    """

    older_than: float | None = None
    keep: int | None = None
    kinds: frozenset[PruneKind] = DEFAULT_KINDS
    all_folders: bool = False


@dataclass(frozen=True, slots=True)
class PruneItem:
    """One item to delete, the reason, and its size in bytes, 0 if unknown.

    `name` is a task id, a container handle, an image name or a path.
    """

    kind: PruneKind
    name: str
    why: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """All items to delete, those that only `all_folders` deletes, and notes about what is kept."""

    items: tuple[PruneItem, ...]
    notes: tuple[str, ...] = ()
    skipped: tuple[PruneItem, ...] = ()

    @property
    def size(self) -> int:
        """The total of the known sizes in bytes."""
        return sum(item.size for item in self.items)


@dataclass(frozen=True, slots=True)
class Pruner:
    """Plans and performs the cleanup of a folder of tasks and of its engine.

    `engine` connects to the engine and may raise. `remove` deletes an ended task. `sweep` ends orphaned
    tasks and removes their containers.
    """

    home: TaskStore
    cache: Path
    ledger: Path
    engine: Callable[[], Engine]
    remove: Callable[[str], object]
    sweep: Callable[[], object]

    # -- planning --------------------------------------------------------------------------------

    def plan(self, options: PruneOptions) -> PrunePlan:
        """Return what to delete, without changing anything.

        Without an engine, its containers and images are left out, with a note.
        """
        notes: list[str] = []
        loaded = (workspace.load_or_none() for workspace in self.home.newest_first())
        records = [record for record in loaded if record is not None]
        references = References(self.home.path)
        batches = _select_batches(references, options)
        selected = self._select(records, options, references, notes)
        items = [self._task(record) for record in selected]
        items += [self._batch(batch) for batch in batches]
        if "dead" in options.kinds:
            items += [_orphan(record) for record in records if current_fate(record) is Fate.END]
        skipped: list[PruneItem] = []
        if options.kinds & {"container", "image"}:
            deleted = {task_id for record in selected for task_id in _ids(record)}
            found = self._engine_items(records, deleted, options.kinds, notes)
            for item, is_own in found:
                (items if is_own or options.all_folders else skipped).append(item)
        if "file" in options.kinds:
            items += self._files()
        if "cache" in options.kinds:
            items += self._caches()
        return PrunePlan(tuple(items), tuple(notes), tuple(skipped))

    def _select(
        self,
        records: Sequence[TaskRecord],
        options: PruneOptions,
        references: References,
        notes: list[str],
    ) -> list[TaskRecord]:
        """Return the ended tasks to delete. Replicas are deleted with their parent task."""
        if "task" not in options.kinds:
            return []
        ended = [record for record in records if record.state.is_final and record.replica is None]
        if options.older_than is None and options.keep is None:
            if ended:
                size = format_bytes(sum(self._size(record) for record in ended))
                tasks = format_count(len(ended), "ended task")
                notes.append(f"keeping {tasks} ({size}); delete some with --older-than 7d or --keep 10")
            return []
        used = {one.id: max(one.ended or one.created, references.last_use(one.id)) for one in ended}
        ended.sort(key=lambda record: used[record.id], reverse=True)
        latest = time.time() - (options.older_than or 0.0)
        old = [task for task in ended[options.keep or 0 :] if used[task.id] <= latest]
        count = sum(used[task.id] > latest >= (task.ended or 0.0) for task in ended)
        if count:
            notes.append(f"keeping {format_count(count, 'task')} whose results were reused since")
        kept = _referenced(old, records, references, notes)
        return [task for task in old if task.id not in kept]

    def _batch(self, batch: KnownBatch) -> PruneItem:
        folder = self.home.path / "batches" / batch.id
        age = format_duration(time.time() - batch.changed)
        state = "stopped" if batch.ended is None else "ended"
        return PruneItem("batch", batch.id, f"{state} {age} ago", leftovers.disk_usage(folder))

    def _task(self, record: TaskRecord) -> PruneItem:
        age = format_duration(time.time() - (record.ended or record.created))
        return PruneItem("task", record.id, f"{record.state} {age} ago", self._size(record))

    def _size(self, record: TaskRecord) -> int:
        workspaces = (self.home.find(task_id) for task_id in _ids(record))
        return sum(leftovers.disk_usage(found.path) for found in workspaces if found is not None)

    def _engine_items(
        self, records: Sequence[TaskRecord], deleted: set[str], kinds: frozenset[PruneKind], notes: list[str]
    ) -> list[tuple[PruneItem, bool]]:
        """Return unneeded containers and images, each with whether a record of this folder names it."""
        items: list[tuple[PruneItem, bool]] = []
        try:
            engine = self.engine()
            if "container" in kinds:
                for each in leftovers.orphan_containers(self.home, engine, self.ledger):
                    items.append(
                        (PruneItem("container", each.container.handle, each.reason), each.has_record)
                    )
            if "image" in kinds:
                items += self._images(engine, records, deleted, notes)
        except EngineUnreachable as error:
            notes.append(f"cannot check containers and images: {error.message}")
        return items

    def _images(
        self, engine: Engine, records: Sequence[TaskRecord], deleted: set[str], notes: list[str]
    ) -> Iterator[tuple[PruneItem, bool]]:
        """Yield unused images of localrun, each with whether a task of this folder used it."""
        own = {record.id for record in records}
        others = len(Ledger(self.ledger, notes.append).read().keys() - own)
        if others:
            tasks = format_count(others, "active task")
            notes.append(f"keeping images: {tasks} in other folders may still use them")
            return
        recorded = {record.image for record in records}
        used = {record.image for record in records if not _is_deleted(record, deleted)}
        noted = self.home.noted_images()
        dangling = dict(leftovers.dangling_images(engine))
        for name, image in leftovers.images(engine):
            is_own = image.id in recorded or name in noted
            if name in dangling:
                yield PruneItem("image", name, "its build was interrupted", image.size), is_own
            elif image.id not in used:
                unused = "not used by a task of this folder; loaded or built again when needed"
                yield PruneItem("image", name, unused, image.size), is_own

    def _files(self) -> Iterator[PruneItem]:
        for path in leftovers.temp_files(self.home, self.cache, self.ledger):
            yield PruneItem("file", str(path), "temporary file of a dead process", leftovers.disk_usage(path))
        for name in leftovers.stale_locks(self.home):
            path = self.home.path / "active" / name
            yield PruneItem("file", str(path), "lock of a deleted or ended task")
        if stale := self._stale_entries():
            why = f"{format_count(len(stale), 'record')} of results of deleted tasks"
            size = sum(path.stat().st_blocks * 512 for path in stale)
            yield PruneItem("file", str(self.home.path / "reuse"), why, size)

    def _stale_entries(self) -> list[Path]:
        return ReuseIndex(self.home.path).stale(lambda task: self.home.find(task) is not None)

    def _caches(self) -> Iterator[PruneItem]:
        for folder in (*(self.cache / name for name in _CACHES), *self._contents()):
            if folder.is_dir() and not folder.is_symlink():
                size = leftovers.disk_usage(folder)
                yield PruneItem("cache", str(folder), "created again when needed", size)

    def _contents(self) -> Iterator[Path]:
        """Yield the files of clients on this node of a cluster, unless an active task may need them."""
        for home in (self.home.path, *self.home.path.glob("nodes/*")):
            if not TaskStore(home).active_ids():
                yield home / "content"

    # -- deleting --------------------------------------------------------------------------------

    def delete(self, item: PruneItem) -> None:
        """Delete an item, unless it is in use again. Raises `LocalrunError` and `OSError`."""
        match item.kind:
            case "task":
                self.remove(item.name)
            case "batch":
                self._delete_batch(self.home.path / "batches" / item.name)
            case "dead":
                self.sweep()
            case "container":
                self._delete_container(item.name)
            case "image":
                self.engine().remove_image(item.name)
                self.home.forget_image(item.name)
            case "file":
                self._delete_file(Path(item.name))
            case "cache":
                shutil.rmtree(item.name, ignore_errors=True)

    def _delete_container(self, handle: str) -> None:
        self.sweep()
        engine = self.engine()
        # its task has ended or is deleted
        for orphan in leftovers.orphan_containers(self.home, engine, self.ledger):
            if orphan.container.handle == handle:
                engine.remove(handle)

    def _delete_batch(self, folder: Path) -> None:
        with fs.try_locked(folder) as is_locked:
            if is_locked:  # else it runs again
                shutil.rmtree(folder)

    def _delete_file(self, path: Path) -> None:
        if path == self.home.path / "reuse":
            for stale in self._stale_entries():
                stale.unlink(missing_ok=True)
        elif path.parent == self.home.path / "active":
            lock = self.home.acquire(path.name)
            if lock is not None:
                lock.release(ended=path.name in leftovers.stale_locks(self.home))
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _ids(record: TaskRecord) -> list[str]:
    """Return the ids of a task and of its replicas."""
    return [record.id, *(record.replication.ids if record.replication else ())]


def _select_batches(references: References, options: PruneOptions) -> list[KnownBatch]:
    """Remove the batches to delete from the references, and return them."""
    if "batch" not in options.kinds or (options.older_than is None and options.keep is None):
        return []
    idle = [batch for batch in references.batches.values() if not batch.is_running]
    idle.sort(key=lambda batch: batch.changed, reverse=True)
    latest = time.time() - (options.older_than or 0.0)
    selected = [batch for batch in idle[options.keep or 0 :] if batch.changed <= latest]
    for batch in selected:
        del references.batches[batch.id]
    return selected


def _referenced(
    selected: Sequence[TaskRecord], records: Sequence[TaskRecord], references: References, notes: list[str]
) -> set[str]:
    """Return the selected tasks that active tasks or the results of batches name, and note why."""
    needed, kept = dependents(records), set()
    batches: Counter[str] = Counter()
    for task in selected:
        users = [user for task_id in _ids(task) for user in needed.get(task_id, ())]
        owners = references.batches_of(task.id, task.batch.id if task.batch else "")
        if users:
            notes.append(f"keeping task {task.short_id}: it has inputs of active {named(users)}")
        if users or owners:
            kept.add(task.id)
        batches.update(owners[:1])
    for batch, count in batches.items():
        tasks = format_count(count, "task")
        notes.append(f"keeping {tasks} that the results of batch {short_id(batch)} name")
    return kept


def _is_deleted(record: TaskRecord, deleted: set[str]) -> bool:
    return record.id in deleted or (record.replica is not None and record.replica.parent_id in deleted)


def _orphan(record: TaskRecord) -> PruneItem:
    return PruneItem("dead", record.id, f"{record.state}, but its process died; ends it and keeps its files")
