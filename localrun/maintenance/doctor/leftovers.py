"""What was left behind: by processes that died, and by tasks that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from localrun.engines.base import Engine
from localrun.maintenance import leftovers
from localrun.maintenance.doctor.check import Check, ok, warn
from localrun.task.fate import Fate, current_fate
from localrun.task.record import short_id
from localrun.task.store import TaskStore
from localrun.units import format_bytes

_PRUNE = "localrun prune"
_LOOKED_AT = 2000  # tasks whose record is read
_SHOWN = 3
_NAME = 28  # characters shown of an image's name


def check_home(home: TaskStore, cache: Path, ledger: Path) -> Iterator[Check]:
    """What lies in the folder of tasks."""
    active = [home.open(name).load_or_none() for name in home.active_ids()]
    records = [record for record in active if record is not None]
    yield _counted(
        "dead tasks",
        [record.short_id for record in records if current_fate(record) is Fate.END],
        "{} whose process died",
        f"`{_PRUNE}`, or the next `localrun run`, ends them",
    )
    yield _counted(
        "waiting tasks",
        [record.short_id for record in records if current_fate(record).is_resumable],
        "{} that nobody carries now; what runs goes on by itself",
        "`localrun wait --all` carries them on, and so does `localrun serve`",
    )
    yield _counted(
        "claims",
        leftovers.stale_locks(home),
        "{} of tasks that are gone or have ended",
        f"`{_PRUNE}` removes them",
    )
    broken = leftovers.unreadable_tasks(home, _LOOKED_AT)
    names = [workspace.short_id for workspace in broken]
    yield _counted("records", names, "{} that cannot be read", "`localrun rm ID` deletes such a task")
    files = [path.name for path in leftovers.temp_files(home, cache, ledger)]
    yield _counted("temporary files", files, "{} of processes that died", f"`{_PRUNE}` deletes them")


def check_engine(home: TaskStore, engine: Engine, *, busy: bool) -> Iterator[Check]:
    """What lies in the engine; while it is `busy`, images without a name may be those of a build."""
    found = [short_id(stray.task_id) for stray in leftovers.orphan_containers(home, engine)]
    yield _counted("containers", found, "{} that nobody carries", f"`{_PRUNE}` removes them")
    broken_off = [] if busy else [name[:_NAME] for name, _ in leftovers.dangling_images(engine)]
    yield _counted(
        "temporary images", broken_off, "{} of builds that were broken off", f"`{_PRUNE}` removes them"
    )
    known = {image.id: image for _, image in leftovers.images(engine)}
    size = sum(image.size for image in known.values())
    message = f"{len(known)} that localrun loaded or built, {format_bytes(size)} at most"
    yield ok(
        "images",
        message + (f"; `{_PRUNE}` shows which are needed" if known else ""),
        count=len(known),
        size=size,
    )


def _counted(name: str, found: list[str], what: str, remedy: str) -> Check:
    if not found:
        return ok(name, "none", count=0)
    shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
    return warn(name, f"{what.format(len(found))}: {shown}", remedy, count=len(found), found=found)
