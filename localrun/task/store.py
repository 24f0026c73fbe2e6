"""The tasks of a folder on disk."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from localrun import fs
from localrun.errors import TaskExists, UsageError
from localrun.task.lock import TaskLock, acquire, publish, wait_released
from localrun.task.workspace import Workspace

LAST = "last"
RESERVED_IDS = (LAST, "list", "status")  # words of the command line and of HTTP paths
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class TaskStore:
    """The folder of a project's tasks, and which of them are active."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tasks = path / "tasks"
        self._text = str(self.tasks)
        self._active = path / "active"
        self._images = path / "images"

    def create(self, task_id: str | None = None) -> Workspace:
        """Create the folder of a new task. Raises `LocalrunError` if it cannot be written.

        Raises `UsageError` for an invalid id, and `TaskExists` for an existing one.
        """
        if task_id in RESERVED_IDS:
            raise UsageError(f"the task id {task_id!r} is reserved", remedy="choose another id")
        if task_id is not None and not _ID.fullmatch(task_id):
            raise UsageError(f"invalid task id {task_id!r}", remedy="use at most 64 letters, digits, - and _")
        workspace = Workspace(f"{self._text}/{task_id or uuid.uuid4()}")
        try:
            self._create(workspace)
        except FileExistsError as error:
            if not workspace.path.is_dir():
                raise fs.write_error(self.path, error) from error
            raise TaskExists(f"task {task_id} exists already", remedy="choose another id") from error
        except OSError as error:
            raise fs.write_error(self.path, error) from error
        return workspace

    def _create(self, workspace: Workspace) -> None:
        try:
            workspace.create()
        except FileNotFoundError:  # the first task of the folder
            self._active.mkdir(parents=True, exist_ok=True)
            (self.path / ".gitignore").write_text("*\n")
            self.tasks.mkdir(exist_ok=True)  # last: a process that finds it also finds the others
            workspace.create()

    def open(self, task_id: str) -> Workspace:
        """Return the folder of a task by its whole id, without a check."""
        return Workspace(f"{self._text}/{task_id}")

    def find(self, task_id: str) -> Workspace | None:
        """Return the folder of a task by its whole id, if it exists. Safe for untrusted ids."""
        if not _ID.fullmatch(task_id) or not os.path.isdir(f"{self._text}/{task_id}"):  # noqa: PTH112 - hot
            return None
        return self.open(task_id)

    def acquire(self, task_id: str, *, new: bool = False) -> TaskLock | None:
        """Acquire the ownership of an active task; None if another process owns it or it has ended.

        Raises `LocalrunError` if the lock of a `new` task cannot be written.
        """
        with fs.wrap_os_errors(self.path):
            return acquire(self._active / task_id, new=new)

    def publish(self, workspace: Workspace) -> None:
        """Mark a new task as active, without an owner. Raises as `acquire`."""
        with fs.wrap_os_errors(self.path):
            publish(f"{self._active}/{workspace.id}", f"{workspace}/task.json")

    def is_active(self, task_id: str) -> bool:
        return os.path.exists(f"{self._active}/{task_id}")  # noqa: PTH110 - hot

    def is_owned(self, task_id: str) -> bool:
        """Return whether a process holds the lock of a task."""
        return fs.is_locked(self._active / task_id)

    def wait_released(self, task_id: str) -> None:
        """Block until no process owns the task: it has ended, or its process died."""
        wait_released(self._active / task_id)

    @property
    def active(self) -> Path:
        """The folder with an entry for each active task."""
        return self._active

    def active_ids(self) -> list[str]:
        try:
            return os.listdir(self._active)  # noqa: PTH208 - names
        except FileNotFoundError:
            return []

    @property
    def is_own(self) -> bool:
        """Whether the folder exists and belongs to the user."""
        try:
            return self.path.stat().st_uid == os.geteuid()
        except OSError:
            return False

    def is_missing(self, task_id: str) -> bool:
        """Whether the folder belongs to the user and does not have the task."""
        return self.is_own and not (self.tasks / task_id).exists()

    def is_finished(self, task_id: str) -> bool:
        """Whether the folder belongs to the user and the task has ended."""
        record = self.open(task_id).load_or_none() if self.is_own else None
        return record is not None and record.state.is_final

    def withdraw(self, task_id: str) -> None:
        """Remove an ended task from the active ones although another process holds its lock."""
        (self._active / task_id).unlink(missing_ok=True)

    def remove(self, workspace: Workspace, lock: TaskLock | None = None) -> None:
        workspace.remove()
        (self._active / workspace.id).unlink(missing_ok=True)
        if lock is not None:
            lock.release(ended=True)

    def note_image(self, name: str) -> None:
        """Remember that a task of this folder uses an image of localrun, e.g. `localrun/build:DIGEST`.

        The note outlives the task, so `prune` knows later which images are those of this folder.
        """
        note = self._images / _note_name(name)
        if not note.exists():
            with fs.wrap_os_errors(self.path):
                self._images.mkdir(mode=0o700, exist_ok=True, parents=True)
                note.touch(mode=0o600)

    def noted_images(self) -> set[str]:
        """Return the names that `note_image` was called with."""
        try:
            return {name.replace("%2F", "/") for name in os.listdir(self._images)}  # noqa: PTH208 - names
        except FileNotFoundError:
            return set()

    def forget_image(self, name: str) -> None:
        (self._images / _note_name(name)).unlink(missing_ok=True)

    def newest_first(self) -> Iterator[Workspace]:
        """Yield the folders of all tasks, newest first, without reading records."""
        try:
            with os.scandir(self.tasks) as entries:
                found = sorted(((_created_ns(entry), entry.name) for entry in entries), reverse=True)
        except FileNotFoundError:
            return
        yield from (self.open(name) for _, name in found)


def _note_name(image: str) -> str:
    return image.replace("/", "%2F")


def _created_ns(entry: os.DirEntry[str]) -> int:
    # The descriptor is written once, when the task is created; the folder changes with every state. A manual
    # task has no descriptor, but its record keeps the creation time; see `Workspace.save`.
    for name in ("descriptor.yml", "task.json"):
        try:
            return os.stat(f"{entry.path}/{name}").st_mtime_ns  # noqa: PTH116 - hot
        except OSError:
            continue
    return 0
