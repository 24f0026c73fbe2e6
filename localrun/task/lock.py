"""Who carries a task: a lock on a file, which the kernel lets go when its holder dies.

So a task is carried by at most one process, a dead one is noticed at once whatever happened to it, and
waiting for a task of another process is waiting for a lock, without looking again and again.
"""

from __future__ import annotations

import os
from pathlib import Path

from localrun import fs


class TaskLock:
    """The right to carry a task to its end, until it is given up."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor

    def release(self, *, ended: bool) -> None:
        """Give it up; once the task has ended, nobody can claim it again. Idempotent."""
        if self._descriptor is None:
            return
        if ended:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None


def acquire(path: Path, *, new: bool = False) -> TaskLock | None:
    """Claim the task whose file is `path`; None when it is claimed already, or the file is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if new else 0), 0o600)
    except FileNotFoundError:
        return None
    if not fs.try_lock(descriptor) or not _is_at(path, descriptor):  # the task may just have ended
        os.close(descriptor)
        return None
    return TaskLock(path, descriptor)


def publish(path: str, file: str) -> None:
    """Make `path` something to claim, by nobody yet: another name of a `file` that lasts as long.

    A name is made in a tenth of the time that a file takes, and that is what a task without a container
    costs. Not every file system has them.
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
    """Block until nobody holds the claim on `path`, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with fs.locked(descriptor, shared=True):
        pass
