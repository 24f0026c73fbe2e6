"""Copies of files and folders: clones where possible, with holes kept, and within a disk limit."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from localrun.units import format_bytes

_CHUNK = 1024**2  # bytes between two checks
_SMALL = 16 * 1024  # bytes of a file that is copied faster than its blocks could be shared
_FICLONE = 0x40049409  # ioctl(2): share the blocks of a file until one of the two changes
_UNSIZED = 64 * 1024**2  # bytes that are read of a file without a size, such as those of /proc
_ALLOWANCE = 16 * 1024**2  # bytes that may be copied although the disk is fuller than its limit
_NO_SENDFILE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UNNAMED = os.O_RDWR | getattr(os, "O_TMPFILE", 0) | os.O_CLOEXEC  # Linux

Check = Callable[[], None]


class DiskLimit:
    """The usage of a file system, in percent, above which nothing is copied to it.

    A small copy may exceed the limit, so that the result of a task can be read on a nearly full disk.
    """

    def __init__(self, percent: float = 100.0) -> None:
        self.percent = percent
        self._allowance = _ALLOWANCE
        self._unchecked = 0  # bytes of small files that were written since the last check

    def check(self, descriptor: int, size: int) -> None:
        """Raise `OSError` (ENOSPC) if `size` more bytes are too many for the disk of an open file."""
        disk = os.fstatvfs(descriptor)
        unit, used = disk.f_frsize, disk.f_blocks - disk.f_bfree
        if not disk.f_blocks:  # a file system that does not report its size
            return
        free = disk.f_bavail * unit
        total = used * unit + free
        if size > free:
            raise _no_space(f"{format_bytes(size)} to copy, {format_bytes(free)} free")
        percent = 100 * (used * unit + size) / total
        if percent > self.percent and size > self._allowance:
            raise _no_space(
                f"{format_bytes(size)} more would fill the disk to {percent:.1f} %, limit {self.percent:g} %"
            )

    def use(self, descriptor: int, size: int) -> None:
        """Check `size` bytes that are written next, and count them."""
        self.check(descriptor, size)
        self._allowance -= size

    def use_few(self, descriptor: int, size: int) -> None:
        """Count the bytes of a small file. They are checked together with those of other files."""
        self._unchecked += size
        if self._unchecked > _CHUNK:
            self.use(descriptor, self._unchecked)
            self._unchecked = 0


def _no_space(reason: str) -> OSError:
    return OSError(errno.ENOSPC, f"not enough disk space: {reason}")


def _ignore() -> None:
    """Do not cancel (default)."""


def copy_file(
    source: Path | int,
    target: Path,
    *,
    limit: DiskLimit | None = None,
    check_cancelled: Check = _ignore,
) -> None:
    """Copy a regular file, a path or an open descriptor, to the new file `target` with the mode of the umask.

    A symbolic link is copied as a link. The copy shares no data with the original that a change of one would
    change in the other. A file that grows is copied up to its size at the beginning. Raises `OSError`, and
    leaves no file after any exception, and where the file system can, none of a process that is killed.
    """
    if isinstance(source, Path):
        if source.is_symlink():
            target.symlink_to(source.readlink())
            return
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            copy_file(descriptor, target, limit=limit, check_cancelled=check_cancelled)
        finally:
            os.close(descriptor)
        return
    made, is_named = _create(target)
    try:
        copy_content(source, made, limit=limit, check_cancelled=check_cancelled)
        if not is_named:
            _give_name(made, target)
    except BaseException:
        if is_named:
            target.unlink(missing_ok=True)
        raise
    finally:
        os.close(made)


def _create(target: Path) -> tuple[int, bool]:
    """Open a new file for writing. Return it, and whether it has a name already."""
    try:
        return os.open(target.parent, _UNNAMED, 0o666), False
    except OSError:  # the file system cannot
        return os.open(target, _NEW, 0o666), True


def _give_name(made: int, target: Path) -> None:
    """Give an unnamed file its name; copy it if the file system has no links."""
    try:  # `src_dir_fd` makes it linkat(2), which follows the link
        os.link(f"/proc/self/fd/{made}", target, src_dir_fd=made)
    except FileExistsError:
        raise
    except OSError:
        named = os.open(target, _NEW, 0o666)
        try:
            copy_content(made, named)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            os.close(named)


def copy_into(source: int, target: str, *, limit: DiskLimit | None = None) -> None:
    """Copy the open file `source` to a new path in a folder that is not shown before it is complete.

    Faster than `copy_file`, but a copy that fails leaves a part of the file. Raises `OSError`.
    """
    made = os.open(target, _NEW, 0o666)
    try:
        copy_content(source, made, limit=limit)
    finally:
        os.close(made)


def copy_tree(
    source: Path,
    target: Path,
    *,
    skip: Collection[str] = (),
    copy: Callable[[Path, Path], None] = copy_file,
) -> None:
    """Copy the content of a folder of this user into the folder `target`, with links as links.

    `skip` are paths below the folder; `copy` is called for every file and link. Raises `OSError`.
    """
    for folder, folders, files in os.walk(source, onerror=_raise):
        here = Path(folder)
        there = target / here.relative_to(source)
        links = [name for name in folders if (here / name).is_symlink()]
        for name in [*files, *links]:
            if (here / name).relative_to(source).as_posix() not in skip:
                copy(here / name, there / name)
        for name in set(folders) - set(links):
            (there / name).mkdir(exist_ok=True)


def _raise(error: OSError) -> None:
    raise error


def clone(source: int, target: int) -> bool:
    """Let the open file `target` share the blocks of `source`; False if the file system cannot."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def copy_content(
    source: int, target: int, *, limit: DiskLimit | None = None, check_cancelled: Check = _ignore
) -> None:
    """Copy a regular file into the empty file `target`, both open. Raises `OSError`.

    Holes stay holes. With a `limit`, nothing is written if the copy would exceed it.
    """
    status = os.fstat(source)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    limit = limit or DiskLimit()
    if 0 < status.st_size <= _SMALL and status.st_blocks * 512 >= status.st_size:  # without holes
        check_cancelled()
        limit.use_few(target, status.st_size)
        _write_all(target, os.pread(source, status.st_size, 0))
        return
    if clone(source, target):
        return
    limit.check(target, min(status.st_size, status.st_blocks * 512))
    end = status.st_size
    segments = data_segments(source, end) if end else iter([(0, _UNSIZED)])
    for start, stop in segments:
        copied = start
        while copied < stop:
            check_cancelled()
            count = min(_CHUNK, stop - copied)
            limit.use(target, min(count, _available(source, copied)))
            done = _copy_chunk(source, target, copied, count)
            copied += done
            if not done:  # the file has become shorter, or had no size
                os.ftruncate(target, copied)
                return
    if not end:
        raise OSError(errno.EFBIG, f"a file without a size has more than {format_bytes(_UNSIZED)}")
    os.ftruncate(target, end)


def data_segments(descriptor: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a file that are not holes: (start, end)."""
    stop = 0
    while stop < end:
        try:
            start = os.lseek(descriptor, stop, os.SEEK_DATA)
            stop = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            start, stop = stop, end  # the file system does not know its holes
        if start < end:
            yield start, min(stop, end)


def _available(source: int, start: int) -> int:
    return max(0, os.fstat(source).st_size - start)


def _copy_chunk(source: int, target: int, start: int, count: int) -> int:
    """Copy at most `count` bytes, within the kernel where possible. Return their number, 0 at the end."""
    os.lseek(target, start, os.SEEK_SET)
    try:
        return os.sendfile(target, source, start, count)
    except OSError as error:
        if error.errno not in _NO_SENDFILE:
            raise
    data = os.pread(source, count, start)
    _write_all(target, data)
    return len(data)


def _write_all(target: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(target, left) :]
