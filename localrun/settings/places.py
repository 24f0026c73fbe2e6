"""Folders of the user that settings default to, and the working directory."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from localrun.errors import UsageError
from localrun.settings.model import CACHE

NO_FOLDER = Path("/dev/null/localrun")  # cannot exist: nothing is read or written there


def missing_working_directory() -> UsageError | None:
    """Return an error if the working directory was deleted, else None. The system does not name it."""
    try:
        os.getcwd()  # noqa: PTH109 - the error, not the path
    except OSError as error:
        try:
            place = f" {os.readlink('/proc/self/cwd').removesuffix(' (deleted)')}"  # noqa: PTH115
        except OSError:
            place = ""
        message = f"cannot use the working directory{place}: {error.strerror}"
        return UsageError(message, remedy="change to an existing folder: `cd`")
    return None


def default_cache() -> Path:
    """Return the cache below the user's home directory, else a private folder for temporary files.

    A user without a home directory, as in `docker run --user`, has only the latter. Returns `NO_FOLDER` if
    there is no private folder.
    """
    path = expanded(CACHE)
    if path is not None and _can_create(path):
        return path
    import tempfile

    try:
        private = Path(tempfile.gettempdir(), f"localrun-cache-{os.geteuid()}")
        with suppress(FileExistsError):
            private.mkdir(mode=0o700)
        status = private.lstat()
    except OSError:
        return NO_FOLDER
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return private if is_own else NO_FOLDER


def _can_create(path: Path) -> bool:
    """Return whether a folder is writable, or its first parent that exists."""
    while not os.path.lexists(path):
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def expanded(path: Path) -> Path | None:
    """Return the path with `~` and `~user` expanded; None if the home directory is not known."""
    found = os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises without a home
    return None if found.startswith("~") else Path(found)
