"""Git LFS pointers: small text files in place of large ones that were not downloaded."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from localrun.engines.context.files import BuildContext, open_file

REMEDY = "download the files: `git lfs pull`"
_SIGN = b"version https://git-lfs.github.com/spec/v1"
_LIMIT = 1024  # bytes; a pointer is smaller
_MOST_NAMES = 5


def is_pointer(path: Path) -> bool:
    """Return whether a file is a Git LFS pointer; False if it cannot be read."""
    try:
        status = path.stat()
        return stat.S_ISREG(status.st_mode) and status.st_size < _LIMIT and _has_sign(path.resolve())
    except OSError:
        return False


def context_warnings(context: BuildContext) -> Iterator[str]:
    """Yield a warning if the build would copy Git LFS pointers into the image."""
    folder = context.folder.resolve()
    found = [
        file.path
        for file in context.files()
        if stat.S_ISREG(file.status.st_mode)
        and len(_SIGN) <= file.status.st_size < _LIMIT
        and _has_sign(folder / file.path)
    ]
    if found:
        what = "a Git LFS pointer" if len(found) == 1 else f"{len(found)} Git LFS pointers"
        yield f"the build context has {what} in place of the files: {_names(found)}; {REMEDY}"


def _has_sign(path: Path) -> bool:
    try:
        file = open_file(path)
    except OSError:
        return False
    if file is None:
        return False
    with file:
        return file.read(len(_SIGN)) == _SIGN


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
