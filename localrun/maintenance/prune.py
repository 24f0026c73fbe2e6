"""What can go: told first, deleted then. Nothing that runs, that is somebody else's, or that is needed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from localrun.admission.ledger import Ledger
from localrun.engines.base import Engine
from localrun.errors import EngineUnreachable
from localrun.maintenance import leftovers
from localrun.task.fate import Fate, current_fate
from localrun.task.record import TaskRecord
from localrun.task.store import TaskStore
from localrun.units import format_bytes, format_duration

PruneKind = Literal["task", "dead", "container", "image", "file", "cache"]

KINDS: tuple[PruneKind, ...] = ("task", "dead", "container", "image", "file", "cache")
DEFAULT_KINDS: frozenset[PruneKind] = frozenset(KINDS) - {"cache"}
_NOTES = ("bundles", "documents", "archives", "folders", "images")  # what a cache holds; the rest is not ours


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """What is to go. `older_than` in seconds; `keep` is how many of the newest ended tasks stay.

    Without either, no task goes. `kinds` are those that are looked at.
    """

    older_than: float | None = None
    keep: int | None = None
    kinds: frozenset[PruneKind] = DEFAULT_KINDS


@dataclass(frozen=True, slots=True)
class PruneItem:
    """One thing that can go, why, and the bytes that it takes, as far as they are known.

    `name` is the id of a task, the handle of a container, the name of an image, or a path.
    """

    kind: PruneKind
    name: str
    why: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """All that can go, and what is to be said of what stays."""

    items: tuple[PruneItem, ...]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all, as far as they are known."""
        return sum(item.size for item in self.items)


class Pruner:
    """Looks for what can go in one folder of tasks and on its engine, and deletes it.

    `engine` connects to the engine, and may raise; `remove` deletes an ended task, `sweep` ends the tasks
    whose process died and removes their containers.
    """

    def __init__(
        self,
        home: TaskStore,
        *,
        cache: Path,
        ledger: Path,
        engine: Callable[[], Engine],
        remove: Callable[[str], object],
        sweep: Callable[[], object],
    ) -> None:
        self._home = home
        self._cache = cache
        self._ledger = ledger
        self._engine = engine
        self._remove = remove
        self._sweep = sweep

    # -- looking ---------------------------------------------------------------------------------

    def plan(self, options: PruneOptions) -> PrunePlan:
        """What can go. Nothing is changed; without an engine its part is left out, and that is said."""
        notes: list[str] = []
        records = [
            record for place in self._home.newest_first() if (record := place.load_or_none()) is not None
        ]
        wholes = _wholes(records)
        going = _going(wholes, options)
        items = [self._task(record) for record in going]
        if "task" in options.kinds and options.older_than is None and options.keep is None:
            notes += _staying(wholes, sum(self._size(record) for record in _ended(wholes)))
        if "dead" in options.kinds:
            items += [_dead(record) for record in records if current_fate(record) is Fate.END]
        if options.kinds & {"container", "image"}:
            items += self._of_engine(
                records, {name for record in going for name in _ids(record)}, options, notes
            )
        if "file" in options.kinds:
            items += self._files()
        if "cache" in options.kinds:
            items += self._noted()
        return PrunePlan(tuple(items), tuple(notes))

    def _task(self, record: TaskRecord) -> PruneItem:
        age = format_duration(time.time() - (record.ended_at or record.created_at))
        return PruneItem("task", record.id, f"{record.state} {age} ago", self._size(record))

    def _size(self, record: TaskRecord) -> int:
        places = (self._home.find(name) for name in _ids(record))
        return sum(leftovers.disk_usage(place.path) for place in places if place is not None)

    def _of_engine(
        self, records: Sequence[TaskRecord], going: set[str], wish: PruneOptions, notes: list[str]
    ) -> list[PruneItem]:
        items: list[PruneItem] = []
        try:
            engine = self._engine()
            if "container" in wish.kinds:
                found = leftovers.orphan_containers(self._home, engine)
                items += [PruneItem("container", stray.container.handle, stray.reason) for stray in found]
            if "image" in wish.kinds:
                items += self._images(engine, records, going, notes)
        except EngineUnreachable as error:
            notes.append(f"containers and images cannot be looked at: {error.message}")
        return items

    def _images(
        self, engine: Engine, records: Sequence[TaskRecord], going: set[str], notes: list[str]
    ) -> list[PruneItem]:
        """Images of ours that no task which stays was made of, and that no other folder may need just now."""
        ours = {record.id for record in records}
        others = [task_id for task_id in Ledger(self._ledger, notes.append).read() if task_id not in ours]
        if others:
            notes.append(
                f"images stay: tasks of other folders run or wait ({len(others)}), and may need them"
            )
            return []
        needed = {record.image for record in records if not _goes(record, going)}
        broken_off = dict(leftovers.dangling_images(engine))
        return [
            *(
                PruneItem("image", name, "its build was broken off", image.size)
                for name, image in broken_off.items()
            ),
            *self._unneeded(engine, needed, set(broken_off)),
        ]

    def _unneeded(self, engine: Engine, needed: set[str], told: set[str]) -> list[PruneItem]:
        return [
            PruneItem(
                "image", name, "no task of this folder needs it; others load or build it again", image.size
            )
            for name, image in leftovers.images(engine)
            if image.id not in needed and name not in told
        ]

    def _files(self) -> Iterator[PruneItem]:
        for path in leftovers.temp_files(self._home, self._cache, self._ledger):
            yield PruneItem("file", str(path), "a process died while it wrote it", leftovers.disk_usage(path))
        for name in leftovers.stale_locks(self._home):
            yield PruneItem("file", str(self._home.path / "active" / name), "its task is gone, or has ended")

    def _noted(self) -> Iterator[PruneItem]:
        for folder in (self._cache / name for name in _NOTES):
            if folder.is_dir() and not folder.is_symlink():
                yield PruneItem(
                    "cache", str(folder), "is made anew when it is needed", leftovers.disk_usage(folder)
                )

    # -- deleting --------------------------------------------------------------------------------

    def delete(self, item: PruneItem) -> None:
        """Delete one thing, unless it is of use again. Raises `LocalrunError`, `OSError`."""
        match item.kind:
            case "task":
                self._remove(item.name)
            case "dead":
                self._sweep()
            case "container":
                self._container(item.name)
            case "image":
                self._engine().remove_image(item.name)
            case "file":
                self._file(Path(item.name))
            case "cache":
                shutil.rmtree(item.name, ignore_errors=True)

    def _container(self, handle: str) -> None:
        self._sweep()
        engine = self._engine()
        still = [
            stray
            for stray in leftovers.orphan_containers(self._home, engine)
            if stray.container.handle == handle
        ]
        for stray in still:  # its task was gone, or had ended
            engine.remove(stray.container.handle)

    def _file(self, path: Path) -> None:
        if path.parent == self._home.path / "active":
            claim = self._home.acquire(path.name)
            if claim is not None:
                claim.release(ended=path.name in leftovers.stale_locks(self._home))
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _ended(records: Sequence[TaskRecord]) -> list[TaskRecord]:
    """The ended tasks, the last one first; replicas go with the task that they are of."""
    found = [record for record in records if record.state.is_final and record.replica is None]
    return sorted(found, key=lambda record: record.ended_at or 0.0, reverse=True)


def _wholes(records: Sequence[TaskRecord]) -> list[TaskRecord]:
    """All but replicas, which go with the task that they are of, as long as it is there."""
    known = {record.id for record in records}
    return [record for record in records if record.replica is None or record.replica.parent_id not in known]


def _ids(record: TaskRecord) -> list[str]:
    """The ids of a task and of its replicas."""
    return [record.id, *(record.replication.ids if record.replication else ())]


def _going(records: Sequence[TaskRecord], wish: PruneOptions) -> list[TaskRecord]:
    if "task" not in wish.kinds or (wish.older_than is None and wish.keep is None):
        return []
    before = time.time() - (wish.older_than or 0.0)
    return [record for record in _ended(records)[wish.keep or 0 :] if (record.ended_at or 0.0) <= before]


def _goes(record: TaskRecord, going: set[str]) -> bool:
    return record.id in going or (record.replica is not None and record.replica.parent_id in going)


def _staying(records: Sequence[TaskRecord], size: int) -> Iterator[str]:
    count = len(_ended(records))
    if count:
        tasks = "1 ended task stays" if count == 1 else f"{count} ended tasks stay"
        yield f"{tasks} ({format_bytes(size)}): --older-than 7d or --keep 10 lets some go"


def _dead(record: TaskRecord) -> PruneItem:
    return PruneItem("dead", record.id, f"{record.state}, and its process died: it is ended, its files stay")
