"""Pack the output folder into the result zip."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from localrun import fs
from localrun.undecodable import quote
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir

ZIP_LIMIT = 50 * 1024**2  # bytes; the largest result that iExec can upload
SIZE_LIMIT = 20 * ZIP_LIMIT  # bytes of all files; more cannot be compressed to `ZIP_LIMIT`
_CHUNK = 1024 * 1024
_DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal results give equal zips


class ZipTooLarge(Exception):
    """The packed result would have more than `ZIP_LIMIT` bytes."""


def pack(
    tree: UntrustedDir, entries: Iterable[TreeEntry], target: Path, check_cancelled: Callable[[], None]
) -> None:
    """Pack files like the worker: with relative paths, links as empty files, without folders.

    `target` is written only if packing succeeds. Raises `ZipTooLarge`, `UnsafePath` for entries that are
    neither files nor links or cannot be read, and `OSError`.
    """
    found = sorted(entries, key=lambda entry: entry.parts)
    if sum(entry.size for entry in found if entry.kind == "file") > SIZE_LIMIT:
        raise ZipTooLarge
    with fs.atomic_file(target) as temp:
        with temp.open("wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry in found:
                _add(archive, tree, entry, check_cancelled)
        if temp.stat().st_size > ZIP_LIMIT:
            raise ZipTooLarge


def _add(
    archive: zipfile.ZipFile, tree: UntrustedDir, entry: TreeEntry, check_cancelled: Callable[[], None]
) -> None:
    check_cancelled()
    name = "/".join(entry.parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    if entry.kind == "link":
        archive.writestr(info, b"")
        return
    if entry.kind != "file":
        raise UnsafePath(f"contains {quote(entry.parts[-1])}, which is a {entry.kind}", "do not write it")
    with tree.open(entry) as source, archive.open(info, "w") as packed:
        left = entry.size  # stop even if a process of the app still writes to the file
        while left and (data := source.read(min(_CHUNK, left))):
            check_cancelled()
            packed.write(data)
            left -= len(data)
            if archive.fp is not None and archive.fp.tell() > ZIP_LIMIT:
                raise ZipTooLarge
