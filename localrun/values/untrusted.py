"""A folder that a task wrote, which is trusted with nothing.

No link is followed by the system: each is resolved here, as the container would have, and only as far as it
stays inside. What is not a regular file or a folder is never opened.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from io import BufferedReader
from itertools import islice
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Literal

import msgspec

_MAX_LINKS = 40  # as Linux
MAX_DEPTH = 64
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# without O_NONBLOCK, opening a pipe that took a file's place meanwhile would block
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Kind = Literal["file", "folder", "link", "pipe", "socket", "device"]
Parts = tuple[str, ...]

_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
}


def kind_of(mode: int) -> Kind:
    """Return what kind of thing a `st_mode` stands for."""
    return _KINDS.get(stat.S_IFMT(mode), "device")


def open_folder(path: Path | str, parent: int | None = None) -> int:
    """Open a folder, below the open folder `parent`, but not through a link. Returns its file descriptor."""
    return os.open(path, _DIRECTORY, dir_fd=parent)


class UnsafePath(ValueError):
    """Something in the tree is refused; the text says what was found, `remedy` what to do."""

    def __init__(self, message: str, remedy: str = "write a regular file there") -> None:
        super().__init__(message)
        self.remedy = remedy


class TreeEntry(msgspec.Struct, frozen=True):
    """What was found at a path: its real parts, its kind, its size in bytes.

    Links are resolved, but for those that `UntrustedDir.everything` lists.
    """

    parts: Parts
    kind: Kind
    size: int


class UntrustedDir:
    """The folder `root` of the host, which the container calls `inside`. A context manager."""

    def __init__(self, root: Path, inside: str) -> None:
        self.root = root
        self._inside = PurePosixPath(inside)
        self._root = open_folder(root)
        # the folder that was used last: the items of an array share one
        self._last: tuple[Parts, int] | None = None

    def __enter__(self) -> UntrustedDir:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        os.close(self._root)

    def host_path(self, spot: TreeEntry) -> Path:
        """Where it is on the host."""
        return self.root.joinpath(*spot.parts)

    def find(self, parts: Parts) -> TreeEntry | None:
        """Look at a path; None when nothing is there. Raises `UnsafePath` for links that lead outside."""
        try:
            return self._find(parts)
        except OSError as error:
            raise _refused(error) from error

    def _find(self, parts: Parts) -> TreeEntry | None:
        pending = deque(parts)
        done: list[str] = []
        links = 0
        while pending:
            part = pending.popleft()
            if part == "..":
                _climb(done)
                continue
            status = self._status((*done, part))
            if status is None and links:
                raise UnsafePath("is a link to nothing")
            if status is None:
                return None
            if not stat.S_ISLNK(status.st_mode):
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise UnsafePath("is a link that leads round in circles")
            pending.extendleft(reversed(self._target((*done, part), done)))
        return self.entry(tuple(done))

    def _target(self, link: Parts, done: list[str]) -> Parts:
        """The parts that a link stands for, below `done`, which an absolute one empties."""
        target = PurePosixPath(os.readlink(link[-1], dir_fd=self._directory(link[:-1])))
        if not target.is_absolute():
            return target.parts
        if not target.is_relative_to(self._inside):
            raise UnsafePath(f"is a link to {str(target)[:200]!r}, which leaves the output folder")
        done.clear()
        return target.relative_to(self._inside).parts

    def entry(self, parts: Parts) -> TreeEntry:
        """Return what is at a path; no link on the way is followed. Raises `UnsafePath`."""
        status = self._status(parts) if parts else os.fstat(self._root)
        if status is None:
            raise UnsafePath("went away while it was read")
        return TreeEntry(parts, kind_of(status.st_mode), status.st_size)

    def _status(self, parts: Parts) -> os.stat_result | None:
        try:
            return os.stat(parts[-1], dir_fd=self._directory(parts[:-1]), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _refused(error) from error

    def _directory(self, parts: Parts) -> int:
        if not parts:
            return self._root
        if self._last is not None and self._last[0] == parts:
            return self._last[1]
        if len(parts) > MAX_DEPTH:
            raise UnsafePath(f"is nested deeper than {MAX_DEPTH} folders", "write flatter folders")
        self._forget()
        self._last = (parts, self._open_directory(parts))
        return self._last[1]

    def _open_directory(self, parts: Parts) -> int:
        descriptor = os.dup(self._root)
        for part in parts:
            try:
                inner = open_folder(part, descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def _forget(self) -> None:
        if self._last is not None:
            os.close(self._last[1])
            self._last = None

    def open(self, spot: TreeEntry) -> BufferedReader:
        """A regular file, to be read and closed."""
        try:
            descriptor = os.open(spot.parts[-1], _FILE, dir_fd=self._directory(spot.parts[:-1]))
        except OSError as error:
            raise _refused(error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UnsafePath("changed while it was read")
        return os.fdopen(descriptor, "rb")

    def read(self, spot: TreeEntry, limit: int) -> bytes:
        """The first `limit` bytes of a regular file."""
        with self.open(spot) as stream:
            return stream.read(limit)

    def list_names(self, spot: TreeEntry, limit: int | None = None) -> list[str]:
        """Return the names in a folder, unordered. Raises `UnsafePath` if there are more than `limit`."""
        try:
            with os.scandir(self._directory(spot.parts)) as entries:
                found = [entry.name for entry in islice(entries, None if limit is None else limit + 1)]
        except OSError as error:
            raise _refused(error) from error
        if limit is not None and len(found) > limit:
            raise UnsafePath(f"holds more than {limit} files", "write fewer")
        return found

    def list_files(self, spot: TreeEntry, limit: int) -> list[TreeEntry]:
        """The files in a folder, however deep. Refuses links, devices and the like, and too many files."""
        found = self.walk(spot, limit)
        for inner in found:
            if inner.kind != "file":
                raise UnsafePath(
                    f"holds {inner.parts[-1]!r}, which is neither a file nor a folder", "leave it out"
                )
        return found

    def walk(self, spot: TreeEntry, limit: int) -> list[TreeEntry]:
        """All that is in a folder, however deep, but for folders; links are not resolved.

        Raises `UnsafePath` when it is more than `limit`.
        """
        found: list[TreeEntry] = []
        pending = [spot.parts]
        while pending:
            here = pending.pop()
            for name in self.list_names(TreeEntry(here, "folder", 0), limit):
                limit -= 1
                inner = self.entry((*here, name))
                if inner.kind == "folder":
                    pending.append(inner.parts)
                else:
                    found.append(inner)
        return found

    def read_link(self, spot: TreeEntry) -> str:
        """The text of a link."""
        try:
            return os.readlink(spot.parts[-1], dir_fd=self._directory(spot.parts[:-1]))
        except OSError as error:
            raise _refused(error) from error


def _climb(done: list[str]) -> None:
    if not done:
        raise UnsafePath("is a link that leaves the output folder")
    done.pop()


def _refused(error: OSError) -> UnsafePath:
    return UnsafePath(f"cannot be read: {error.strerror}", "let the task make it readable")
