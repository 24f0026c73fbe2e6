"""The state of a task's outputs at its end, to notice later that they were changed or deleted."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from localrun.undecodable import escape

_MOST_FILES = 64
_MOST_BYTES = 256 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Seal(msgspec.Struct, frozen=True):
    """The outputs of a task at its end.

    `files` are the digests of few small files by their paths. None: there were more, and a later change is
    noticed by the time of the last change of each file and folder, which programs cannot set.
    """

    files: dict[str, str] | None = None


def seal(folder: Path) -> Seal:
    """Return the state of an output folder. Raises `OSError`."""
    return Seal(_digests(str(folder), _MOST_FILES, _MOST_BYTES))


def damage(folder: Path, before: Seal, since_ns: int) -> str:
    """Return what has happened to the outputs since they were sealed, e.g. `outputs/mask was changed`.

    `since_ns` is the time when they were sealed, by the clock of their file system. Empty: nothing.
    """
    try:
        if before.files is None:
            return _changed_since(folder, since_ns)
        # one more file, or byte, than before is a change
        return _changed(folder.name, before.files, _digests(str(folder), _MOST_FILES + 1, 2 * _MOST_BYTES))
    except OSError:
        return f"{folder.name} cannot be read"


def _changed(folder: str, before: dict[str, str], after: dict[str, str] | None) -> str:
    if after is None:
        return f"{folder} has more or larger files"
    for name, digest in before.items():
        if name not in after:
            return f"{folder}/{escape(name)} was deleted"
        if after[name] != digest:
            return f"{folder}/{escape(name)} was changed"
    return f"{folder} has more files" if after.keys() - before.keys() else ""


def _changed_since(folder: Path, since_ns: int) -> str:
    if folder.stat().st_ctime_ns > since_ns:
        return f"files in {folder.name} were added or deleted"
    for entry in _walk(str(folder)):
        if entry.stat(follow_symlinks=False).st_ctime_ns > since_ns:
            return f"{folder.name}/{escape(entry.path[len(str(folder)) + 1 :])} was changed"
    return ""


def _digests(folder: str, most_files: int, most_bytes: int) -> dict[str, str] | None:
    """Return the digests of the files in a folder; None if there are more or larger ones."""
    found: dict[str, str] = {}
    for entry in _walk(folder):
        status = entry.stat(follow_symlinks=False)
        most_files, most_bytes = most_files - 1, most_bytes - status.st_size
        if most_files < 0 or most_bytes < 0:
            return None
        if not stat.S_ISDIR(status.st_mode):
            found[entry.path[len(folder) + 1 :]] = _digest(entry.path, status.st_mode)
    return found


def _digest(path: str, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return f"link to {os.readlink(path)}"  # noqa: PTH115 - hot
    if not stat.S_ISREG(mode):
        return "special"
    with os.fdopen(os.open(path, _READ), "rb", buffering=0) as file:
        return f"0x{hashlib.sha256(file.read(_MOST_BYTES + 1)).hexdigest()}"


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield all files and folders below a folder. Links are not followed."""
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
