"""What is in a folder that a task writes, perhaps just now: everything, as what it is, nothing followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

Kind = Literal["file", "folder", "link", "pipe", "socket", "device"]

LIMIT = 10_000
_MAX_DEPTH = 64
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One thing in a folder: its path below it, size in bytes, and when it was written (since 1970).

    `target` is what a link says, `problem` why a folder cannot be looked into.
    """

    path: str
    kind: Kind
    size: int
    modified: float
    target: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found, each folder before what is in it; `more` when that is not all."""

    entries: tuple[FileEntry, ...]
    is_truncated: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(leaf.size for leaf in self.entries if leaf.kind == "file")


def list_folder(root: Path, limit: int = LIMIT) -> Listing:
    """List a folder, however deep, up to `limit` entries; none when it is not there."""
    found = list(islice(_below(root, (), limit + 1), limit + 1))
    return Listing(tuple(found[:limit]), is_truncated=len(found) > limit)


def _below(root: Path, parts: tuple[str, ...], most: int) -> Iterator[FileEntry]:
    try:
        folder = _open(root, parts)
    except OSError:  # gone meanwhile; what cannot be opened was told by whoever listed it
        return
    try:
        for name in _names(folder, most):
            leaf = _leaf(folder, parts, name)
            if leaf is not None:
                yield leaf
                if leaf.kind == "folder" and not leaf.problem:
                    yield from _below(root, (*parts, name), most)
    finally:
        os.close(folder)


def _open(root: Path, parts: tuple[str, ...]) -> int:
    descriptor = os.open(root, _DIRECTORY)
    for part in parts:
        try:
            inner = os.open(part, _DIRECTORY, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def _names(folder: int, most: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in islice(entries, most))


def _leaf(folder: int, parts: tuple[str, ...], name: str) -> FileEntry | None:
    """One entry; None when it has gone meanwhile."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "device")
    size = status.st_size if kind == "file" else 0
    leaf = FileEntry("/".join((*parts, name)), kind, size, status.st_mtime)
    if kind == "link":
        return replace(leaf, target=_target(folder, name))
    return replace(leaf, problem=_closed(folder, name, len(parts))) if kind == "folder" else leaf


def _target(folder: int, name: str) -> str:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return ""


def _closed(folder: int, name: str, depth: int) -> str:
    """Why a folder cannot be looked into; empty when it can."""
    if depth + 1 >= _MAX_DEPTH:
        return f"nested deeper than {_MAX_DEPTH} folders"
    try:
        os.close(os.open(name, _DIRECTORY, dir_fd=folder))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""
