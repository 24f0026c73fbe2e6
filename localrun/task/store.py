"""The tasks of one folder on disk."""

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
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class TaskStore:
    """The folder of a project's tasks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tasks = path / "tasks"
        self._text = str(self.tasks)
        self._active = path / "active"

    def create(self, task_id: str | None = None) -> Workspace:
        """Make the folder of a new task. Raises `LocalrunError` when it cannot be written.

        Raises `UsageError` for an id that could be mistaken, and `TaskExists` for one that is taken.
        """
        if task_id is not None and (not _ID.fullmatch(task_id) or task_id == LAST):
            raise UsageError(
                f"{task_id!r} is no id of a task", remedy="use letters, digits, - and _, at most 64"
            )
        workspace = Workspace(f"{self._text}/{task_id or uuid.uuid4()}")
        try:
            self._make(workspace)
        except FileExistsError as error:
            if not workspace.path.is_dir():
                raise fs.write_error(self.path, error) from error
            raise TaskExists(f"there is a task {task_id} already", remedy="choose another id") from error
        except OSError as error:
            raise fs.write_error(self.path, error) from error
        return workspace

    def _make(self, workspace: Workspace) -> None:
        try:
            workspace.create()
        except FileNotFoundError:  # the first task of all
            self._prepare()
            workspace.create()

    def _prepare(self) -> None:
        # the folder that is looked for comes last: whoever sees it finds the others
        self._active.mkdir(parents=True, exist_ok=True)
        (self.path / ".gitignore").write_text("*\n")
        self.tasks.mkdir(exist_ok=True)

    def open(self, task_id: str) -> Workspace:
        """The folder of a task by its whole id."""
        return Workspace(self.tasks / task_id)

    def find(self, task_id: str) -> Workspace | None:
        """The folder of a task by its whole id, if there is one. Safe for ids from anywhere."""
        if not _ID.fullmatch(task_id) or not os.path.isdir(f"{self._text}/{task_id}"):  # noqa: PTH112 - hot
            return None
        return self.open(task_id)

    def acquire(self, task_id: str, *, new: bool = False) -> TaskLock | None:
        """Become the carrier of a task that has not ended; None when somebody is, or it has ended.

        Raises `LocalrunError` when a new one cannot be written down.
        """
        with fs.wrap_os_errors(self.path):
            return acquire(self._active / task_id, new=new)

    def publish(self, workspace: Workspace) -> None:
        """Let any process claim a new task, which nobody carries. Raises as `claim`."""
        with fs.wrap_os_errors(self.path):
            publish(f"{self._active}/{workspace.id}", f"{workspace}/events.jsonl")

    def is_active(self, task_id: str) -> bool:
        """Whether the task has not ended."""
        return os.path.exists(f"{self._active}/{task_id}")  # noqa: PTH110 - hot

    def wait_released(self, task_id: str) -> None:
        """Block until nobody carries the task (any more): it has ended, or its carrier died."""
        wait_released(self._active / task_id)

    def active_ids(self) -> list[str]:
        """The ids of the tasks that have not ended, in no order."""
        try:
            return os.listdir(self._active)  # noqa: PTH208 - names
        except FileNotFoundError:
            return []

    @property
    def is_own(self) -> bool:
        """Whether the folder is there and the user's own."""
        try:
            return self.path.stat().st_uid == os.geteuid()
        except OSError:
            return False

    def is_missing(self, task_id: str) -> bool:
        """Whether the user's own folder has no such task (any more)."""
        return self.is_own and not (self.tasks / task_id).exists()

    def is_finished(self, task_id: str) -> bool:
        """Whether the task of the user's own folder has come to its end."""
        record = self.open(task_id).load_or_none() if self.is_own else None
        return record is not None and record.state.is_final

    def remove(self, workspace: Workspace, claim: TaskLock | None = None) -> None:
        """Remove a task's folder and every trace of it."""
        workspace.remove()
        (self._active / workspace.id).unlink(missing_ok=True)
        if claim is not None:
            claim.release(ended=True)

    def newest_first(self) -> Iterator[Workspace]:
        """Every task's folder, the newest first; records are not read."""
        try:
            with os.scandir(self.tasks) as entries:
                found = sorted(((_made(entry), entry.name) for entry in entries), reverse=True)
        except FileNotFoundError:
            return
        yield from (self.open(name) for _, name in found)


def _made(entry: os.DirEntry[str]) -> int:
    # the descriptor is written once, when the task is made; the folder itself changes with every state.
    # What has none, has a record that says the time of its making; see `save`
    for name in ("descriptor.yml", "task.json"):
        try:
            return os.stat(f"{entry.path}/{name}").st_mtime_ns  # noqa: PTH116 - hot
        except OSError:
            continue
    return 0
