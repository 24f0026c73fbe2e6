"""The packed result: every file of the output folder in one zip."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from localrun import fs
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir

ZIP_LIMIT = 50 * 1024**2  # bytes of the packed result that can be uploaded
_HOPELESS = 20 * ZIP_LIMIT  # bytes that nobody tries to pack into so little
_CHUNK = 1024 * 1024
_DATE = (1980, 1, 1, 0, 0, 0)  # the same for all, so that equal results are packed into equal files


class ZipTooLarge(Exception):
    """The packed result would have more than `LARGEST` bytes."""


def pack(
    tree: UntrustedDir, spots: Iterable[TreeEntry], target: Path, check_cancelled: Callable[[], None]
) -> None:
    """Pack files as the worker does: with their paths below the folder, links as empty files, no folders.

    `target` is there when all went well, and only then. Raises `ZipTooLarge`, `UnsafePath` for what is
    neither a file nor a link or cannot be read, and `OSError`.
    """
    found = sorted(spots, key=lambda spot: spot.parts)
    if sum(spot.size for spot in found if spot.kind == "file") > _HOPELESS:
        raise ZipTooLarge
    with fs.atomic_file(target) as temp:
        with temp.open("wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for spot in found:
                _add(archive, tree, spot, check_cancelled)
        if temp.stat().st_size > ZIP_LIMIT:
            raise ZipTooLarge


def _add(
    archive: zipfile.ZipFile, tree: UntrustedDir, spot: TreeEntry, check_cancelled: Callable[[], None]
) -> None:
    check_cancelled()
    name = "/".join(spot.parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    if spot.kind == "link":
        archive.writestr(entry, b"")
        return
    if spot.kind != "file":
        raise UnsafePath(f"holds {spot.parts[-1]!r}, which is a {spot.kind}", "leave it out")
    with tree.open(spot) as source, archive.open(entry, "w") as packed:
        left = spot.size  # a process of the app that goes on writing must not keep us here
        while left and (data := source.read(min(_CHUNK, left))):
            check_cancelled()
            packed.write(data)
            left -= len(data)
            if archive.fp is not None and archive.fp.tell() > ZIP_LIMIT:
                raise ZipTooLarge
