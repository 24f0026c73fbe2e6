"""Room on the disk: what the operating system says when there is none, and some that is kept for the end."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from localrun.errors import Cause, LocalrunError

_RESERVE = 64 * 1024  # bytes: a record, and the events of an end


def is_full(error: OSError) -> bool:
    """Whether it failed for lack of room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def unwritable(folder: Path, error: OSError) -> LocalrunError:
    """What to tell of a folder of tasks that cannot be written; with cause DISK_FULL when it is that."""
    if is_full(error):
        return LocalrunError(
            f"there is no room left on the disk of {folder}",
            remedy="free some there (`localrun rm` deletes tasks), or set LOCALRUN_HOME to another disk",
            cause=Cause.DISK_FULL,
            path=str(folder),
        )
    return LocalrunError(
        f"the tasks' folder {folder} cannot be written: {error.strerror}",
        remedy="run localrun in a folder of your own, or set LOCALRUN_HOME to one",
        path=str(folder),
    )


@contextmanager
def telling(folder: Path) -> Iterator[None]:
    """Raise an `OSError` of the block as `LocalrunError`."""
    try:
        yield
    except OSError as error:
        raise unwritable(folder, error) from error


def keep(reserve: Path) -> None:
    """Take some room, to be given back when a task has filled the disk and its end has to be written down.

    Raises `OSError` when there is none now.
    """
    with reserve.open("wb") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, _RESERVE)
        except OSError as error:  # not every file system can promise room
            if is_full(error):
                raise


def give_back(reserve: Path) -> None:
    """Give it back, if it was taken."""
    with suppress(OSError):
        reserve.unlink(missing_ok=True)
