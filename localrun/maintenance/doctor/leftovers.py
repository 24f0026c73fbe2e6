"""Checks for leftovers of dead processes and deleted tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from localrun.engines.base import Engine
from localrun.maintenance import leftovers
from localrun.maintenance.doctor.check import Check, ok, warn
from localrun.task import supervision
from localrun.task.fate import Fate, current_fate
from localrun.task.record import short_id
from localrun.task.store import TaskStore
from localrun.units import format_bytes

_PRUNE = "`localrun prune` removes them"
_MAX_RECORDS = 2000  # records to read
_MAX_SHOWN = 3
_NAME_LENGTH = 28  # characters of an image name to show


def check_home_leftovers(home: TaskStore, cache: Path, ledger: Path) -> Iterator[Check]:
    """Yield the checks for leftovers in the folder of tasks, in the cache and next to them."""
    active = [home.open(name).load_or_none() for name in home.active_ids()]
    records = [record for record in active if record is not None]
    orphans = [record.short_id for record in records if current_fate(record) is Fate.END]
    remedy = "`localrun prune` ends them, as does the next `localrun run`"
    yield _counted("orphaned tasks", orphans, "whose process died", remedy)
    yield _supervisor(home)
    resumable = [record.short_id for record in records if current_fate(record).is_resumable]
    remedy = "`localrun wait --all` or `localrun serve` resumes them; their containers continue to run"
    yield _counted("resumable tasks", resumable, "without a process", remedy)
    yield _counted("stale locks", leftovers.stale_locks(home), "of deleted or ended tasks", _PRUNE)
    unreadable = [task.short_id for task in leftovers.unreadable_tasks(home, _MAX_RECORDS)]
    yield _counted("records", unreadable, "unreadable", "`localrun rm ID` deletes such a task")
    files = [path.name for path in leftovers.temp_files(home, cache, ledger)]
    yield _counted("temporary files", files, "of dead processes", _PRUNE)


def _supervisor(home: TaskStore) -> Check:
    pid = supervision.running_pid(home.path)
    if pid is None:
        return ok("supervisor", "not running (started by the first detached task)", pid=None)
    return ok("supervisor", f"process {pid}" if pid else "starting", pid=pid)


def check_engine_leftovers(
    home: TaskStore, engine: Engine, ledger: Path | None = None, *, busy: bool
) -> Iterator[Check]:
    """Yield the checks for leftovers in the engine.

    While it is `busy`, images without a name are not reported: they may belong to a running build.
    """
    orphans = [short_id(orphan.task_id) for orphan in leftovers.orphan_containers(home, engine, ledger)]
    yield _counted("containers", orphans, "orphaned", _PRUNE)
    dangling = [] if busy else [name[:_NAME_LENGTH] for name, _ in leftovers.dangling_images(engine)]
    yield _counted("temporary images", dangling, "of interrupted builds", _PRUNE)
    images = {image.id: image for _, image in leftovers.images(engine)}
    size = sum(image.size for image in images.values())
    message = f"{len(images)} loaded or built by localrun, up to {format_bytes(size)}"
    hint = "; `localrun prune` lists the unused ones" if images else ""
    yield ok("images", message + hint, count=len(images), size=size)


def _counted(name: str, found: list[str], what: str, remedy: str) -> Check:
    if not found:
        return ok(name, "none", count=0)
    shown = ", ".join(found[:_MAX_SHOWN]) + (", ..." if len(found) > _MAX_SHOWN else "")
    return warn(name, f"{len(found)} {what}: {shown}", remedy, count=len(found), found=found)
