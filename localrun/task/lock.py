"""Ownership of a task: a file lock, which the kernel releases when its process dies.

At most one process owns a task, and the death of a process is noticed at once. To wait for a task of
another process is to wait for its lock, without polling.
"""

from __future__ import annotations

import os
from pathlib import Path

from localrun import fs


class TaskLock:
    """The ownership of a task, until it is released."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor

    def release(self, *, ended: bool) -> None:
        """Release the lock, and delete its file if the task has `ended`. Idempotent."""
        if self._descriptor is None:
            return
        if ended:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None


def acquire(path: Path, *, new: bool = False) -> TaskLock | None:
    """Lock the file at `path`, created if `new`. None if it is locked already or does not exist."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if new else 0), 0o600)
    except FileNotFoundError:
        return None
    if not fs.try_lock(descriptor) or not _is_at(path, descriptor):  # the task may have ended in between
        os.close(descriptor)
        return None
    return TaskLock(path, descriptor)


def publish(path: str, file: str) -> None:
    """Create an unlocked lock file at `path`, as a hard link to `file`.

    A link takes a tenth of the time of a new file, which counts for manual tasks. If the file system has no
    links, create a file.
    """
    try:
        os.link(file, path)
    except OSError:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o600))


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))  # noqa: PTH116
    except FileNotFoundError:
        return False


def wait_released(path: Path) -> None:
    """Block until no process holds the lock at `path`, or the file is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with fs.locked(descriptor, shared=True):
        pass
