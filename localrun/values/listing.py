"""List a folder that a task may still be writing, without following links."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from localrun.values.untrusted import MAX_DEPTH, Kind, Parts, kind_of, open_folder

LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class FileEntry:
    """An entry of a folder: its relative path, size in bytes, and modification time (since 1970).

    `target` is that of a link; `problem` says why a folder cannot be listed.
    """

    path: str
    kind: Kind
    size: int
    modified: float
    target: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries, each folder before its content. `is_truncated`: there are more."""

    entries: tuple[FileEntry, ...]
    is_truncated: bool = False

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries if entry.kind == "file")


def list_folder(root: Path, limit: int = LIMIT) -> Listing:
    """List a folder recursively, up to `limit` entries; empty if it does not exist."""
    found: list[FileEntry] = []
    try:
        folder = open_folder(root)
    except OSError:
        return Listing(())
    try:
        _list(folder, (), found, limit + 1)
    finally:
        os.close(folder)
    return Listing(tuple(found[:limit]), is_truncated=len(found) > limit)


def _list(folder: int, parts: Parts, found: list[FileEntry], limit: int) -> None:
    """Add the entries of an open folder, up to `limit` in all."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in islice(entries, limit))
    for name in names:
        if len(found) == limit:
            return
        try:
            entry = _entry(folder, parts, name)
        except OSError:  # removed in the meantime
            continue
        if entry.kind != "folder":
            found.append(entry)
        elif len(parts) + 1 >= MAX_DEPTH:
            found.append(replace(entry, problem=f"nested deeper than {MAX_DEPTH} folders"))
        else:
            _list_inner(folder, entry, found, limit)


def _list_inner(folder: int, entry: FileEntry, found: list[FileEntry], limit: int) -> None:
    parts = tuple(entry.path.split("/"))
    try:
        inner = open_folder(parts[-1], folder)
    except OSError as error:
        found.append(replace(entry, problem=f"cannot read: {error.strerror}"))
        return
    try:
        found.append(entry)
        _list(inner, parts, found, limit)
    finally:
        os.close(inner)


def _entry(folder: int, parts: Parts, name: str) -> FileEntry:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    kind = kind_of(status.st_mode)
    size = status.st_size if kind == "file" else 0
    target = os.readlink(name, dir_fd=folder) if kind == "link" else ""
    return FileEntry("/".join((*parts, name)), kind, size, status.st_mtime, target)
