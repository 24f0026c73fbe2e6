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
from localrun.bundle.images.build import TEMPORARY_SEPARATOR
from localrun.engines.base import ContainerSummary, Engine, EngineImage
from localrun.engines.labels import (
    BUILD_REPOSITORY,
    LABEL_HOME,
    LABEL_TASK,
    OWN_REPOSITORIES,
    is_in_use,
    is_of_other_ledger,
)
from localrun.task.fate import Fate, current_fate
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace

# temporary names of localrun 0.1.0, by folder; the number is the pid of the writer, if known
_OLD_TASK = re.compile(
    r"(?:task\.json|kill)\.(\d+)\.tmp|metadata\.json\.(\d+)\.[0-9a-f]+\.tmp|\.iexec_out\.zip\.(\d+)"
)
_OLD_LOG = re.compile(r"usage\.tmp")
_OLD_INPUT = re.compile(r"\..+\.[0-9a-f]{32}", re.DOTALL)
_OLD_BUNDLE = re.compile(r"[0-9a-f]{32}")
_OLD_CACHE = re.compile(r"[^.]+\.(\d+)\.\d+")
_UPLOADS = ("bundles", "appengine", *(f"appengine/{name}" for name in ("tasks", "runs", "incoming")))
_DAY, _MINUTE = 24 * 3600.0, 60.0
_BUILD = ".localrun-build.*"  # the Dockerfile and the ignore file of a build
_FAKE = "localrun-fake-*"  # the folder of a fake engine, while it is in use


@dataclass(frozen=True, slots=True)
class OrphanContainer:
    """A container that no process owns, with its task, the folder of that task, and the reason.

    Without a record of its task, only its name and labels say that localrun created it.
    """

    container: ContainerSummary
    task_id: str
    home: Path
    reason: str
    has_record: bool = True


def orphan_containers(home: TaskStore, engine: Engine, ledger: Path | None = None) -> list[OrphanContainer]:
    """Return the containers of this folder, and of the user's other folders, that are no longer needed.

    With a `ledger`, those of other folders are left out that belong to processes with another ledger.
    """
    orphans = []
    for container in engine.find({LABEL_TASK: ""}):
        folder, labels = Path(container.labels.get(LABEL_HOME, "")), container.labels
        task_id, store = labels[LABEL_TASK], TaskStore(folder) if folder.is_absolute() else home
        is_other = ledger is not None and is_of_other_ledger(labels, ledger)
        if is_in_use(labels) or (is_other and store.path != home.path):
            continue
        if reason := _orphan_reason(store, task_id):
            orphans.append(OrphanContainer(container, task_id, store.path, reason))
        elif reason := _unrecorded_reason(store, task_id):
            orphans.append(OrphanContainer(container, task_id, store.path, reason, has_record=False))
    return orphans


def _unrecorded_reason(home: TaskStore, task_id: str) -> str:
    """Return why there is no record of a container's task; empty if there is, or for another user."""
    if home.is_missing(task_id):
        return "its task was deleted"
    return "" if os.path.lexists(home.path) else f"its folder {home.path} does not exist"


def _orphan_reason(home: TaskStore, task_id: str) -> str:
    """Return why a container is not needed; empty if it is, or if it belongs to another user."""
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
            if name.startswith(OWN_REPOSITORIES):
                yield name, image


def dangling_images(engine: Engine) -> Iterator[tuple[str, EngineImage]]:
    """Yield the images of interrupted builds, by a name that only a running build uses."""
    for name, image in images(engine):
        if name.startswith(f"{BUILD_REPOSITORY}:") and TEMPORARY_SEPARATOR in name.rpartition(":")[2]:
            yield name, image


def temp_files(home: TaskStore, cache: Path, ledger: Path) -> Iterator[Path]:
    """Yield temporary files and folders of dead processes and builds, and old folders of fake engines."""
    uploads = (home.path / name for name in _UPLOADS)
    shared = (home.path.parent, home.path, *uploads, ledger.parent)  # with files of the user
    for folder in dict.fromkeys(shared):
        yield from (path for path in _entries(folder) if fs.is_abandoned(path))
    for folder, old in _own_folders(home, cache):
        yield from (path for path in _entries(folder) if fs.is_abandoned(path) or _is_old_temp(path, old))
    yield from _empty_tasks(home)
    temporary = Path(tempfile.gettempdir())
    yield from (path for path in temporary.glob(_BUILD) if _is_own(path) and fs.is_abandoned(path))
    for path in temporary.glob(_FAKE):
        if _is_own(path) and time.time() - path.lstat().st_mtime > _DAY:
            yield path


def _own_folders(home: TaskStore, cache: Path) -> Iterator[tuple[Path, re.Pattern[str]]]:
    """Yield the folders that only localrun writes to, with the temporary names of 0.1.0 in each."""
    for task in home.path.glob("tasks/*"):
        yield from ((task, _OLD_TASK), (task / "logs", _OLD_LOG), (task / "uploads", _OLD_INPUT))
    yield home.path / "bundles" / ".incoming", _OLD_BUNDLE
    own = (*cache.glob("*"), *cache.glob("digests/*"), home.path / "reuse", *home.path.glob("reuse/*"))
    yield from ((path, _OLD_CACHE) for path in own if path.is_dir())


def _empty_tasks(home: TaskStore) -> Iterator[Path]:
    """Yield the folders of tasks whose process died before it wrote anything."""
    for path in _entries(home.tasks):
        with suppress(OSError):
            is_old = time.time() - path.lstat().st_mtime > _MINUTE
            if is_old and not home.is_active(path.name) and not os.listdir(path):  # noqa: PTH208 - names
                yield path


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries]
    except OSError:
        return []


def _is_old_temp(path: Path, pattern: re.Pattern[str]) -> bool:
    """Return whether `path` is a temporary file or folder of localrun 0.1.0 whose process has died."""
    found = pattern.fullmatch(path.name)
    if found is None:
        return False
    if pid := next(filter(None, found.groups()), None):
        return path.is_file() and fs.is_abandoned(path, int(pid))
    with suppress(OSError):  # the process is not known
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
