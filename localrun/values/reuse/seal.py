"""The state of a task's outputs at its end, to notice later that they were changed or deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from localrun.errors import OutputsError
from localrun.values.digest import digest_folder

_MOST_FILES = 64
_MOST_BYTES = 256 * 1024


class Seal(msgspec.Struct, frozen=True):
    """The outputs of a task at its end.

    `files` are the digests of few small files by their paths. None: there were more, and a later change is
    noticed by the time of the last change of each file and folder, which programs cannot set.
    """

    files: dict[str, str] | None = None


def seal(folder: Path) -> Seal:
    """Return the state of an output folder. Raises `OSError` and `OutputsError`."""
    count = size = 0
    for entry in _walk(folder):
        count, size = count + 1, size + entry.stat(follow_symlinks=False).st_size
        if count > _MOST_FILES or size > _MOST_BYTES:
            return Seal()
    return Seal(digest_folder(folder).files)


def damage(folder: Path, before: Seal, since_ns: int) -> str:
    """Return what has happened to the outputs since they were sealed, e.g. `outputs/mask was changed`.

    `since_ns` is the time when they were sealed, by the clock of their file system. Empty: nothing.
    """
    try:
        return _changed_since(folder, since_ns) if before.files is None else _changed(folder, before.files)
    except (OSError, OutputsError):
        return f"{folder.name} cannot be read"


def _changed(folder: Path, before: dict[str, str]) -> str:
    after = digest_folder(folder).files
    if after == before:
        return ""
    for name, digest in before.items():
        if name not in after:
            return f"{folder.name}/{name} was deleted"
        if after[name] != digest:
            return f"{folder.name}/{name} was changed"
    return f"{folder.name} has new files"


def _changed_since(folder: Path, since_ns: int) -> str:
    if folder.stat().st_ctime_ns > since_ns:
        return f"files in {folder.name} were added or deleted"
    for entry in _walk(folder):
        if entry.stat(follow_symlinks=False).st_ctime_ns > since_ns:
            return f"{folder.name}/{Path(entry.path).relative_to(folder)} was changed"
    return ""


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield all files and folders below a folder. Links are not followed."""
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
