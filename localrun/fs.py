"""Files: atomic writes, appends, locks, a full disk, and a reserve for the final record."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import count
from pathlib import Path
from typing import BinaryIO

from localrun.errors import Cause, LocalrunError

_SET_HOME = "set LOCALRUN_HOME to a folder that you can write to"
_RESERVE = 64 * 1024  # bytes; enough for the final record and its events
_MINUTE = 60.0
_TEMP_SUFFIX = ".localrun-tmp"
_TEMP_NAME = re.compile(r"\..+\.(\d+)-[0-9a-f]+" + re.escape(_TEMP_SUFFIX), re.DOTALL)
_TOKEN = os.urandom(4).hex()  # together with the pid, unique across processes in different pid namespaces
_LONG_NAME = 50  # characters; a shorter name has at most 200 bytes
_NAME_BYTES = 200  # of a file name, for which Linux allows 255
_LOCK_ATTEMPTS = 5
_LOCK_INTERVAL = 0.002  # seconds
_EXCHANGE = 2  # a flag of renameat2(2)
_WORKING_DIRECTORY = -100  # AT_FDCWD
_numbers = count()


def is_disk_full(error: OSError) -> bool:
    """Return whether an error means that the disk or the quota is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_error(folder: Path, error: OSError, option: str = "") -> LocalrunError:
    """Return the error for a failed write to a folder, with cause DISK_FULL if the disk is full.

    `option` chooses the folder, such as `--output`; empty: it is a folder of tasks.
    """
    if is_disk_full(error):
        elsewhere = f"choose one with {option}" if option else "set LOCALRUN_HOME to a folder"
        return LocalrunError(
            f"no space left on the disk of {folder}",
            remedy=f"delete tasks with `localrun rm`, or {elsewhere} on another disk",
            cause=Cause.DISK_FULL,
            path=str(folder),
        )
    kind, remedy = ("folder", f"choose another one with {option}") if option else ("task folder", _SET_HOME)
    return LocalrunError(
        f"cannot write to the {kind} {folder}: {error.strerror}", remedy=remedy, path=str(folder)
    )


@contextmanager
def wrap_os_errors(folder: Path, option: str = "") -> Iterator[None]:
    """Convert an `OSError` of the block to a `LocalrunError`; `option` is as in `write_error`."""
    try:
        yield
    except OSError as error:
        raise write_error(folder, error, option) from error


def temp_path(path: str) -> str:
    """Return a new name next to `path` for a file that is being written: `.NAME.PID-HEX.localrun-tmp`."""
    folder, slash, name = path.rpartition("/")
    if len(name) > _LONG_NAME:
        name = os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
    return f"{folder}{slash}.{name}.{os.getpid()}-{_TOKEN}{next(_numbers):x}{_TEMP_SUFFIX}"


def is_abandoned(path: Path, pid: int | None = None) -> bool:
    """Return whether `path` is a temporary file or folder whose process has died.

    `pid` is the process if the name is not one of `temp_path`. A process of another machine or container
    is not visible here, so a path that is locked or was written to within the last minute is never abandoned.
    """
    if pid is None:
        found = _TEMP_NAME.fullmatch(path.name)
        if found is None:
            return False
        pid = int(found[1])
    try:
        if Path(f"/proc/{pid}").exists() or time.time() - path.lstat().st_mtime <= _MINUTE:
            return False
    except OSError:
        return False
    return not is_locked(path)


@contextmanager
def temp_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path` for a file or a folder, and delete it afterwards."""
    temp = Path(temp_path(str(path)))
    try:
        yield temp
    finally:
        remove(temp)


def is_special(path: Path) -> bool:
    """Return whether a path is a device, a pipe or a socket, or a link to one; it must not be replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` if the block succeeds, and is deleted otherwise.

    Raises `OSError` if `path` is a device, a pipe or a socket.
    """
    if is_special(path):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with temp_file(path) as temp:
        yield temp
        temp.replace(path)


def exchange(first: Path, second: Path) -> bool:
    """Exchange two names atomically; False if the system or the file system cannot."""
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    paths = os.fsencode(first), os.fsencode(second)
    found: int = rename(_WORKING_DIRECTORY, paths[0], _WORKING_DIRECTORY, paths[1], _EXCHANGE)
    return found == 0


def remove(path: Path) -> None:
    """Delete a file or a folder, if it exists and can be deleted."""
    try:
        path.unlink(missing_ok=True)
    except IsADirectoryError:
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return


def write_atomic(path: str, data: bytes, mtime: float | None = None) -> None:
    """Replace the content of a private file; a reader sees the old or the new content.

    `mtime` is its modification time in seconds since 1970. Raises `LocalrunError`, with cause DISK_FULL if
    the disk is full.
    """
    temp = temp_path(path)
    with _delete_on_error(temp):
        with open(temp, "wb", buffering=0, opener=private) as stream:
            write_all(stream, data)
            if mtime is not None:
                os.utime(stream.fileno(), (mtime, mtime))
        os.replace(temp, path)  # noqa: PTH105


def write_new(path: str, data: bytes) -> None:
    """Create a private file that no reader needs yet, without the cost of a rename.

    Raises like `write_atomic`, and then leaves no file.
    """
    with _delete_on_error(path), open(path, "wb", buffering=0, opener=private) as stream:
        write_all(stream, data)


@contextmanager
def _delete_on_error(path: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        Path(path).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise write_error(Path(path).parent, error) from error
        raise


def write_all(stream: FileIO, data: bytes | memoryview) -> None:
    """Write all of the data, also where the system writes less at once."""
    left = memoryview(data)
    while left:
        left = left[stream.write(left) :]


def private(path: str, flags: int) -> int:
    """Open a file that only its owner can read, if it is created; an opener for `open`."""
    return os.open(path, flags, 0o600)


def append_line(path: str, data: bytes) -> None:
    """Append to a file in one call, so that lines of concurrent writers stay whole. Raises `OSError`."""
    stream = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
    try:
        os.write(stream, data)
    finally:
        os.close(stream)


def open_regular(path: Path | str) -> BinaryIO:
    """Open a file for reading. Raises `OSError`, also for anything but a regular file, without blocking.

    Opening a named pipe waits for its writer, perhaps forever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path | str) -> bytes:
    """Return the content of a file. Raises like `open_regular`."""
    with open_regular(path) as stream:
        return stream.read()


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False if another process owns it.

    The shared locks of processes that only look at a file last a moment, so they are tried again.
    """
    for _ in range(_LOCK_ATTEMPTS):
        if _flock(descriptor, fcntl.LOCK_EX):
            return True
        if not _flock(descriptor, fcntl.LOCK_SH):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(_LOCK_INTERVAL)
    return False


@contextmanager
def try_locked(folder: Path) -> Iterator[bool]:
    """Lock a folder during the block, if possible, and yield whether it is locked. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int) -> None:
    """Lock an open file until it is closed. Waits until the lock is free."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def is_locked(path: Path) -> bool:
    """Return whether a process owns the lock of a file or folder; False if it cannot be opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def locked(descriptor: int, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of an open file during the block, and close the file afterwards.

    Waits until the lock is free. The kernel releases it when the process dies. A file that is opened for
    each call also excludes other threads.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def create_reserve(path: Path) -> None:
    """Create a reserve file. Deleting it lets the final record be written when the disk is full.

    Raises `OSError` if the disk is full already.
    """
    with path.open("wb") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, _RESERVE)
        except OSError as error:  # some file systems cannot preallocate
            if is_disk_full(error):
                raise


def walk_files(folder: Path) -> Iterator[os.stat_result]:
    """Yield the status of all files below a folder. Links are not followed, unreadable files are skipped."""
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                found = list(entries)
        except OSError:
            continue
        for entry in found:
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False)
            except OSError:
                continue


def folder_size(folder: Path) -> int:
    """Return the total length in bytes of the files below a folder."""
    return sum(status.st_size for status in walk_files(folder))


def disk_usage(folder: Path) -> int:
    """Return the bytes that the files below a folder take on the disk."""
    return sum(status.st_blocks * 512 for status in walk_files(folder))
