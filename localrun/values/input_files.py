"""Open and read the files that users name as inputs; problems are reported with the nearest name."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from localrun.descriptor.types import DataType, Notes, String, format_value, trim
from localrun.suggestions import closest
from localrun.values.parsing import FileValue, expand_path
from localrun.values.untrusted import kind_of

HEAD = 8192  # bytes that are checked for binary data
_LFS_LIMIT = 1024  # bytes; a pointer is smaller
_MAX_SIBLINGS = 500
_MAX_PATH = 500  # characters that are shown


def path_of(value: Any) -> Path | None:
    """Return the absolute path that a value names; None for any other value. Links are kept."""
    if isinstance(value, FileValue):
        value = value.path
    elif isinstance(value, str) and value:
        value = expand_path(value)
    return normalized(value, os.path.abspath) if isinstance(value, os.PathLike) else None  # keeps links


def normalized(path: os.PathLike[str], rule: Callable[[os.PathLike[str]], str]) -> Path:
    """Return the path that a rule makes of a path; the path itself if it is that, because this is faster."""
    text = rule(path)
    return path if isinstance(path, Path) and str(path) == text else Path(text)


def status_of(path: Path, notes: Notes) -> os.stat_result | None:
    """Return the status of a file; None, and a problem with the nearest name, if there is none."""
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            message = f"{_shown(path)} is a link to {path.readlink()}, which does not exist"
            notes.error(message, "replace the link with the file")
            return None
        notes.error(f"cannot open {_shown(path)}: {reason}", _nearby(path))
        return None


def _shown(path: Path) -> str:
    """Return a path in full, and text that was taken for a path in a short form."""
    text = str(path)
    return repr(text) if len(text) <= _MAX_PATH else format_value(text)


def _nearby(path: Path) -> str:
    try:
        names = [entry.name for entry, _ in zip(os.scandir(path.parent), range(_MAX_SIBLINGS), strict=False)]
    except (OSError, ValueError):
        return "check the path"
    found = closest(path.name, names)
    return f"did you mean {str(path.with_name(found))!r}?" if found else "check the path"


def is_readable(path: Path, notes: Notes) -> bool:
    if os.access(path, os.R_OK):
        return True
    notes.error(f"permission denied: {path}", "make it readable, e.g. with `chmod u+r`")
    return False


def is_lfs_pointer(path: Path, size: int, notes: Notes) -> bool:
    """Return whether Git LFS has not downloaded a file. Adds a problem to `notes` then."""
    if size >= _LFS_LIMIT:
        return False
    from localrun.bundle import lfs

    found = lfs.is_pointer(path)
    if found:
        notes.error(f"{path} is a Git LFS pointer, not the file itself", lfs.REMEDY)
    return found


def open_file(path: Path) -> BinaryIO:
    return path.open("rb")


def head_of(path: Path) -> bytes:
    with open_file(path) as stream:
        return stream.read(HEAD)


def read_value(kind: DataType, path: Path, notes: Notes) -> Any:
    """Return the value in a file, by the rules of outputs; None if it is invalid."""
    text = read_text(kind, path, notes)
    return None if text is None else kind.parse(text, notes)


def read_text(kind: DataType, path: Path, notes: Notes) -> str | None:
    """Return the text of one value in a file; None, and a problem, if it is not such a file."""
    status = status_of(path, notes)
    if status is None:
        return None
    is_file = stat.S_ISREG(status.st_mode)
    if not is_file or status.st_size > kind.text_limit:
        message = f"expected a file, got the {kind_of(status.st_mode)} {path}"
        notes.error(f"{path} is too large" if is_file else message, f"use a file with one {kind.id}")
        return None
    try:
        text = path.read_bytes().decode() if is_readable(path, notes) else None
    except UnicodeDecodeError:
        notes.error(f"{path} is not UTF-8 text", "save it as UTF-8")
        return None
    if text is None or not isinstance(kind, String):
        return text if text is None else trim(text)
    return text.removesuffix("\n").removesuffix("\r")  # of an editor; other blanks are a part of the string


def list_entries(path: Path, notes: Notes) -> list[os.DirEntry[str]]:
    """Return the entries of a folder in natural order: `img2` before `img10`."""
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: list(_natural(entry.name)))
    except OSError as error:
        notes.error(f"cannot list {path}: {error.strerror}", "make it readable, e.g. with `chmod u+rx`")
        return []


def _natural(name: str) -> Iterator[tuple[int, str]]:
    """Return a sort key that puts `img2` before `img10`."""
    for part in re.split(r"([0-9]+)", name):
        yield (int(part), "") if part.isascii() and part.isdigit() else (-1, part.casefold())
