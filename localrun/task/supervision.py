"""The supervisor of a folder: the process that owns detached tasks whose own process has ended.

HOME/supervisor.lock is locked while the supervisor runs, and holds its pid once it has started.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from localrun import fs

LOCK = "supervisor.lock"
LOG = "supervisor.log"
_ATTEMPTS = 5  # to lock the file, which another supervisor may delete in between


def acquire(home: Path) -> int | None:
    """Lock the file and return its open descriptor; None if a supervisor runs. Raises `OSError`."""
    for _ in range(_ATTEMPTS):
        descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        is_locked = fs.try_lock(descriptor)
        if is_locked and is_held(home, descriptor):
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)
        if not is_locked:
            return None
    return None


def is_held(home: Path, descriptor: int) -> bool:
    """Return whether an open descriptor is still that of the lock file, which may have been deleted."""
    try:
        return os.path.samestat(os.stat(home / LOCK), os.fstat(descriptor))  # noqa: PTH116
    except OSError:
        return False


def running_pid(home: Path) -> int | None:
    """Return the pid of the running supervisor, 0 if it is just being started, None if there is none."""
    if not fs.is_locked(home / LOCK):
        return None
    try:
        return int((home / LOCK).read_bytes() or 0)
    except (OSError, ValueError):
        return 0


def wake(home: Path) -> None:
    """Let the running supervisor look for new tasks now.

    Does nothing if there is none: SIGCONT is harmless to any process that does not handle it.
    """
    if pid := running_pid(home):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGCONT)


def stop(home: Path, timeout: float = 10.0) -> bool:
    """Stop the supervisor and return whether none runs any more. Its tasks can be resumed then."""
    deadline = time.monotonic() + timeout
    while (pid := running_pid(home)) is not None:
        if time.monotonic() >= deadline:
            return False
        if pid:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(0.02)
    return True
