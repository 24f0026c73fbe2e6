"""Access to a folder that a task wrote and that may be malicious.

The system follows no link in it. Links are resolved here, as the container would, and only inside the folder.
Anything but regular files and folders is never opened.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from io import BufferedReader
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from localrun.undecodable import quote

_MAX_LINKS = 40  # as in Linux
MAX_DEPTH = 64
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# without O_NONBLOCK, opening a pipe that has just replaced the file would block
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
    return _KINDS.get(stat.S_IFMT(mode), "device")


def open_folder(path: Path | str, parent: int | None = None) -> int:
    """Open a folder (in the open folder `parent`) and return its descriptor. A link is refused."""
    return os.open(path, _DIRECTORY, dir_fd=parent)


class UnsafePath(ValueError):
    """An entry that is refused, with a remedy."""

    def __init__(self, message: str, remedy: str = "write a regular file") -> None:
        super().__init__(message)
        self.remedy = remedy


class TreeEntry(msgspec.Struct, frozen=True):
    """An entry of the folder: the parts of its path, its kind, and its size in bytes.

    `find` returns entries with all links resolved.
    """

    parts: Parts
    kind: Kind
    size: int


ROOT = TreeEntry((), "folder", 0)


class UntrustedDir:
    """The folder `root` on the host, mounted at `inside` in the container. A context manager."""

    def __init__(self, root: Path, inside: str) -> None:
        self.root = root
        self._text = str(root)
        self._inside = PurePosixPath(inside)
        self._root = open_folder(root)
        # the last folder is kept open, since the items of an array share one
        self._last: tuple[Parts, int] | None = None

    def __enter__(self) -> UntrustedDir:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_last()
        os.close(self._root)

    def host_path(self, entry: TreeEntry) -> Path:
        return self.root.joinpath(*entry.parts)

    def host_text(self, entry: TreeEntry) -> str:
        """Return `host_path` as a string; making a path takes longer than reading a small file."""
        return "/".join((self._text, *entry.parts))

    def find(self, parts: Parts) -> TreeEntry | None:
        """Resolve a path; None if it does not exist. Raises `UnsafePath` for links that lead outside."""
        try:
            return self._find(parts)
        except OSError as error:
            raise _unreadable(error) from error

    def find_in(self, folder: TreeEntry, name: str) -> TreeEntry | None:
        """Resolve a name in a folder that `find` has returned. Returns and raises as `find`."""
        parts = (*folder.parts, name)
        status = self._status(parts)
        if status is None or stat.S_ISLNK(status.st_mode):
            return self.find(parts)
        return TreeEntry(parts, kind_of(status.st_mode), status.st_size)

    def _find(self, parts: Parts) -> TreeEntry | None:
        inside = self._inside.parts[1:]
        at = list(inside)  # where the container is: in the folder, or in one of its parents
        pending = deque(parts)
        links: list[str] = []
        while pending:
            part = pending.popleft()
            if part == "..":
                if not inside and not at:  # a folder that is not mounted: all else is outside
                    raise _leaves(links)
                del at[-1:]  # the parent of / is /
                continue
            if len(at) < len(inside):
                _descend(at, part, inside, links)
                continue
            found = (*at[len(inside) :], part)
            status = self._status(found)
            if status is not None and stat.S_ISLNK(status.st_mode):
                self._follow(found, at, pending, links)
            elif status is None or (pending and not stat.S_ISDIR(status.st_mode)):
                if links:
                    raise UnsafePath(f"broken link to {quote(links[-1][:200])}")
                return None
            elif part != ".":
                at.append(part)
        if len(at) < len(inside):
            raise _leaves(links)
        return self.entry(tuple(at[len(inside) :]))

    def _follow(self, link: Parts, at: list[str], pending: deque[str], links: list[str]) -> None:
        """Put the parts of a link's target in front of `pending`. An absolute link starts at the root."""
        target = os.readlink(link[-1], dir_fd=self._directory(link[:-1]))
        links.append(target)
        if len(links) > _MAX_LINKS:
            raise UnsafePath("circular link")
        if target.startswith("/"):
            at.clear()
        # the system requires a folder where a path ends with a slash
        names = [part for part in target.split("/") if part not in ("", ".")]
        pending.extendleft(reversed([*names, "."] if target.endswith(("/", "/.")) and names else names))

    def entry(self, parts: Parts) -> TreeEntry:
        """Return the entry at a path without following any link. Raises `UnsafePath`."""
        status = self._status(parts) if parts else os.fstat(self._root)
        if status is None:
            raise UnsafePath("removed while it was read")
        return TreeEntry(parts, kind_of(status.st_mode), status.st_size)

    def _status(self, parts: Parts) -> os.stat_result | None:
        try:
            return os.stat(parts[-1], dir_fd=self._directory(parts[:-1]), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(error) from error

    def _directory(self, parts: Parts) -> int:
        if not parts:
            return self._root
        if self._last is not None and self._last[0] == parts:
            return self._last[1]
        if len(parts) > MAX_DEPTH:
            raise UnsafePath(f"nested deeper than {MAX_DEPTH} folders", "use fewer levels of folders")
        self._close_last()
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

    def _close_last(self) -> None:
        if self._last is not None:
            os.close(self._last[1])
            self._last = None

    def open(self, entry: TreeEntry) -> BufferedReader:
        """Open a regular file for reading."""
        return os.fdopen(self.open_descriptor(entry), "rb")

    def open_descriptor(self, entry: TreeEntry) -> int:
        """Open a regular file for reading, and return its descriptor."""
        try:
            descriptor = os.open(entry.parts[-1], _FILE, dir_fd=self._directory(entry.parts[:-1]))
        except OSError as error:
            raise _unreadable(error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UnsafePath("changed while it was read")
        return descriptor

    def read(self, entry: TreeEntry, limit: int) -> bytes:
        """Return the first `limit` bytes of a regular file."""
        with self.open(entry) as stream:
            return stream.read(limit)

    def check_readable(self, entry: TreeEntry) -> None:
        """Raise `UnsafePath` if a regular file cannot be read."""
        os.close(self.open_descriptor(entry))

    def list_names(self, entry: TreeEntry, limit: int | None = None) -> list[str]:
        """Return the names in a folder, unordered. Raises `UnsafePath` if there are more than `limit`."""
        try:
            with os.scandir(self._directory(entry.parts)) as entries:
                found = [item.name for item in islice(entries, None if limit is None else limit + 1)]
        except OSError as error:
            raise _unreadable(error) from error
        if limit is not None and len(found) > limit:
            raise UnsafePath(f"contains more than {limit} files", "write fewer files")
        return found

    def list_files(self, entry: TreeEntry, limit: int) -> list[TreeEntry]:
        """Return the files in a folder, recursively.

        Raises `UnsafePath` for anything but files and folders, and for more than `limit` entries.
        """
        found = self.walk(entry, limit)
        for inner in found:
            if inner.kind != "file":
                raise UnsafePath(
                    f"contains the {inner.kind} {quote(inner.parts[-1])}", "write regular files only"
                )
        return found

    def walk(self, entry: TreeEntry, limit: int) -> list[TreeEntry]:
        """Return everything in a folder, recursively, except folders. Links are not resolved.

        Raises `UnsafePath` for more than `limit` entries.
        """
        found: list[TreeEntry] = []
        pending = [entry.parts]
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

    def walk_resolved(self, limit: int) -> Iterator[tuple[Parts, TreeEntry]]:
        """Yield everything but folders with its path, as the container saw it: with all links resolved.

        A link that leads nowhere, outside or in a circle is yielded as a link. Raises `UnsafePath` for more
        than `limit` entries.
        """
        pending: list[tuple[Parts, TreeEntry, tuple[Parts, ...]]] = [((), ROOT, ())]
        while pending:
            path, folder, outer = pending.pop()
            for name in self.list_names(folder, limit):
                limit -= 1
                parts, shown = (*folder.parts, name), (*path, name)
                found = self._resolve_or_link(parts, (*outer, folder.parts))
                if found.kind == "folder":
                    pending.append((shown, found, (*outer, folder.parts)))
                else:
                    yield shown, found

    def _resolve_or_link(self, parts: Parts, outer: tuple[Parts, ...]) -> TreeEntry:
        entry = self.entry(parts)
        if entry.kind != "link":
            return entry
        try:
            found = self.find(parts)
        except UnsafePath:
            return entry
        return entry if found is None or found.parts in outer else found

    def read_link(self, entry: TreeEntry) -> str:
        """Return the target of a link, as written."""
        try:
            return os.readlink(entry.parts[-1], dir_fd=self._directory(entry.parts[:-1]))
        except OSError as error:
            raise _unreadable(error) from error


def _descend(at: list[str], part: str, inside: Parts, links: list[str]) -> None:
    """Enter the next parent of the folder. All other places of the container are unknown here."""
    if part == ".":
        return
    if part != inside[len(at)]:
        raise _leaves(links)
    at.append(part)


def _leaves(links: list[str]) -> UnsafePath:
    if not links:
        return UnsafePath("the path leaves the output folder", "name a file in the output folder")
    return UnsafePath(f"link to {quote(links[-1][:200])} leaves the output folder")


def _unreadable(error: OSError) -> UnsafePath:
    return UnsafePath(f"cannot read: {error.strerror}", "make it readable")
