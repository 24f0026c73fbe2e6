"""Find leftovers of dead processes and deleted tasks, without changing anything."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localrun import fs
from localrun.bundle.images.build import BUILD_REPOSITORY, TEMPORARY_SEPARATOR
from localrun.bundle.images.retag import IMAGE_REPOSITORY
from localrun.engines.base import ContainerSummary, Engine, EngineImage
from localrun.engines.labels import LABEL_BUILD, LABEL_HOME, LABEL_TASK
from localrun.task.fate import Fate, current_fate
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace

# temporary names of localrun 0.1.0: with the pid of the writer, or known by their folder
_OLD_PID = re.compile(r"\.(\d+)(?:\.[0-9a-f]+)?\.(?:tmp|\d+)$|^\.iexec_out\.zip\.(\d+)$")
_OLD_NAMES = {
    "logs": re.compile(r"usage\.tmp"),
    "uploads": re.compile(r"\..+\.[0-9a-f]{32}", re.DOTALL),
    ".incoming": re.compile(r"[0-9a-f]{32}"),
}
_DAY = 24 * 3600.0
_FAKE = "localrun-fake-*"  # the folder of a fake engine, while it is in use


@dataclass(frozen=True, slots=True)
class OrphanContainer:
    """A container that no process owns, with its task, the folder of that task, and the reason."""

    container: ContainerSummary
    task_id: str
    home: Path
    reason: str


def orphan_containers(home: TaskStore, engine: Engine) -> list[OrphanContainer]:
    """Return the containers of this folder, and of the user's other folders, that are no longer needed."""
    orphans = []
    for container in engine.find({LABEL_TASK: ""}):
        folder = Path(container.labels.get(LABEL_HOME, ""))
        task_id, store = container.labels[LABEL_TASK], TaskStore(folder) if folder.is_absolute() else home
        if reason := _orphan_reason(store, task_id):
            orphans.append(OrphanContainer(container, task_id, store.path, reason))
    return orphans


def _orphan_reason(home: TaskStore, task_id: str) -> str:
    """Return why a container is not needed; empty if it is, or if it belongs to another user."""
    if home.is_missing(task_id):
        return "its task was deleted"
    if home.is_finished(task_id):
        return "its task has ended"
    record = home.open(task_id).load_or_none() if home.is_own else None
    return "its process died" if record is not None and current_fate(record) is Fate.END else ""


def stale_locks(home: TaskStore) -> list[str]:
    """Return the ids of tasks that are listed as active but have ended or were deleted."""
    return [name for name in home.active_ids() if not (home.tasks / name).is_dir() or home.is_finished(name)]


def unreadable_tasks(home: TaskStore, limit: int) -> list[Workspace]:
    """Return those of the newest `limit` tasks that have no readable record and are not being created."""
    active = set(home.active_ids())
    newest = (workspace for workspace, _ in zip(home.newest_first(), range(limit), strict=False))
    return [each for each in newest if each.id not in active and each.load_or_none() is None]


def images(engine: Engine) -> Iterator[tuple[str, EngineImage]]:
    """Yield the images that localrun loaded or built, with the names that it gave them."""
    for image in engine.images({}):
        for name in image.tags:
            if name.startswith((f"{IMAGE_REPOSITORY}:", f"{BUILD_REPOSITORY}:")):
                yield name, image


def dangling_images(engine: Engine) -> Iterator[tuple[str, EngineImage]]:
    """Yield the images of interrupted builds, by a name that only a running build uses, or by their id."""
    for name, image in images(engine):
        if name.startswith(f"{BUILD_REPOSITORY}:") and TEMPORARY_SEPARATOR in name.rpartition(":")[2]:
            yield name, image
    for image in engine.images({LABEL_BUILD: ""}):
        if all(tag.startswith("<none>") for tag in image.tags):
            yield image.id, image


def temp_files(home: TaskStore, cache: Path, ledger: Path) -> Iterator[Path]:
    """Yield temporary files and folders of dead processes, and old folders of fake engines."""
    for folder in _folders(home, cache, ledger):
        yield from (path for path in _entries(folder) if fs.is_abandoned(path) or _is_old_temp(path))
    yield from (path for path in _entries(home.path.parent) if fs.is_abandoned(path))
    for path in Path(tempfile.gettempdir()).glob(_FAKE):
        if _is_own(path) and time.time() - path.lstat().st_mtime > _DAY:
            yield path


def _folders(home: TaskStore, cache: Path, ledger: Path) -> Iterator[Path]:
    for task in home.path.glob("tasks/*"):
        yield from (task, task / "logs", task / "uploads")
    yield from (home.path, home.path / "bundles", home.path / "bundles" / ".incoming", ledger.parent)
    yield from (path for path in cache.glob("*") if path.is_dir())


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries]
    except OSError:
        return []


def _is_old_temp(path: Path) -> bool:
    """Return whether `path` is a temporary file or folder of localrun 0.1.0 whose process has died."""
    if found := _OLD_PID.search(path.name):
        return fs.is_abandoned(path, int(found[1] or found[2]))
    pattern = _OLD_NAMES.get(path.parent.name)
    if pattern and pattern.fullmatch(path.name):  # the process is not known
        with suppress(OSError):
            return time.time() - path.lstat().st_mtime > _DAY
    return False


def _is_own(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def disk_usage(path: Path) -> int:
    """Return the bytes that a file or a folder occupies on disk."""
    return fs.disk_usage(path) if path.is_dir() else path.lstat().st_blocks * 512
