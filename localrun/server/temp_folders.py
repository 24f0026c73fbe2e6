"""Temporary folders for uploads, which are deleted after the death of their process.

Pids do not show whether a process lives: a server in a container has the pid of the one before it. So each
folder is locked by its process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from localrun import fs


@contextmanager
def locked(parent: Path, name: str) -> Iterator[Path]:
    """Yield a new folder in `parent`, and delete it afterwards. Those of dead processes are deleted before.

    Raises `OSError`.
    """
    with ExitStack() as stack:
        with exclusive(parent):  # no deletion before the new folder is locked
            _remove_unlocked(parent, name)
            folder = stack.enter_context(fs.temp_file(parent / name))
            folder.mkdir(mode=0o700)
            lock = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, lock)
            fs.try_lock(lock)
        yield folder


def remove_abandoned(parent: Path, name: str) -> None:
    """Delete the folders of dead processes. Raises `OSError`."""
    with exclusive(parent):
        _remove_unlocked(parent, name)


def exclusive(parent: Path) -> AbstractContextManager[None]:
    """Return a context that one thread of one process enters at a time."""
    return fs.locked(os.open(parent, os.O_RDONLY))


def _remove_unlocked(parent: Path, name: str) -> None:
    for path in parent.glob(f".{name}.*.localrun-tmp"):
        if not fs.is_locked(path):
            fs.remove(path)
