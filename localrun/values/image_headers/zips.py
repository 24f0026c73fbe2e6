"""Check an untrusted zip completely before any of it is unpacked."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from localrun.descriptor.types import Notes
from localrun.values.image_headers.bounded_reader import CorruptFile

_MAX_MEMBERS = 10_000
_MAX_DIRECTORY = 16 * 1024**2  # bytes of the list of members, which is read into memory
_MAX_UNPACKED = 1024**4
_RATIO, _RATIO_FLOOR = 200, 256 * 1024**2  # DICOM files compress little; small zips are harmless
_MAX_NAME = 255  # bytes of a file name on Linux
_END = struct.Struct("<4s4H2LH")
CHUNK = 1024**2  # bytes between two calls of `check_cancelled`
_BROKEN = (zipfile.BadZipFile, ValueError, RuntimeError, EOFError, struct.error, zlib.error)
_ENCRYPTED = 0x1


@contextmanager
def open_zip(file: BinaryIO, size: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip of `size` bytes. Raises `CorruptFile`, also for errors while it is open."""
    try:
        _check_directory(file, size)
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _BROKEN as error:
        raise CorruptFile(str(error) or type(error).__name__) from error


def _check_directory(file: BinaryIO, size: int) -> None:
    """Check the length of the list of members before it is read into memory."""
    start = max(0, size - 65536 - _END.size)
    file.seek(start)
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise CorruptFile("missing list of members at the end")
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, place)
    if tail[max(0, place - 20) : place].startswith(b"PK\x06\x07"):
        file.seek(min(int.from_bytes(tail[place - 12 : place - 4], "little"), size))
        record = file.read(56)
        count, length = (int.from_bytes(record[at : at + 8], "little") for at in (32, 40))
    if length > _MAX_DIRECTORY or count > _MAX_MEMBERS:
        raise CorruptFile(f"too many members: {count} in {length} bytes")


class _Names:
    """The names of all files and folders so far."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.folders: set[str] = set()

    def add(self, parts: list[str], is_folder: bool) -> bool:
        """Add a name. Return whether it is compatible with the earlier ones."""
        path = "/".join(parts)
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        fits = path not in self.files and not above & self.files
        self.folders |= above
        if is_folder:
            self.folders.add(path)
            return fits
        self.files.add(path)
        return fits and path not in self.folders


def check_members(archive: zipfile.ZipFile, size: int, notes: Notes) -> Iterator[zipfile.ZipInfo]:
    """Return the files in a zip. Adds unsafe properties of it to `notes`."""
    names = _Names()
    unpacked = 0
    for item in archive.infolist():
        reason = _unsafe(item, names) if 0 <= item.header_offset < size else "outside of the zip"
        if reason:
            notes.error(f"unsafe member {item.orig_filename[:200]!r}: {reason}", "pack it again")
        unpacked += item.file_size
        if not item.is_dir():
            yield item
    if unpacked > _MAX_UNPACKED or (unpacked > _RATIO_FLOOR and unpacked > _RATIO * size):
        notes.error(f"possible zip bomb: unpacks from {size} to {unpacked} bytes", "pack it again")


def _unsafe(item: zipfile.ZipInfo, names: _Names) -> str:
    name = item.orig_filename
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in parts[0]:
        return "path may leave the folder"
    if any(part in ("", ".") or len(os.fsencode(part)) > _MAX_NAME for part in parts):
        return "invalid file name"
    if not names.add(parts, item.is_dir()):
        return "duplicate name"
    if stat.S_IFMT(item.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "not a regular file"
    if item.flag_bits & _ENCRYPTED:
        return "encrypted"
    known = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return "" if item.compress_type in known else f"unsupported compression method {item.compress_type}"


def unpack_zip(
    source: Path, target: Path, modes: tuple[int, int], check_cancelled: Callable[[], None]
) -> None:
    """Unpack a zip into the existing, empty folder `target`.

    `modes` are those of files and folders. Raises `CorruptFile` if the zip has changed since it was checked,
    OSError if writing fails.
    """
    notes = Notes("")
    with source.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        with open_zip(file, size) as archive:
            found = list(check_members(archive, size, notes))
            if notes.problems:
                raise CorruptFile(notes.problems[0].message)
            for item in found:
                _extract(archive, item, target, modes, check_cancelled)


def _extract(
    archive: zipfile.ZipFile,
    item: zipfile.ZipInfo,
    target: Path,
    modes: tuple[int, int],
    check_cancelled: Callable[[], None],
) -> None:
    path = target
    *folders, name = item.filename.split("/")
    for folder in folders:
        path /= folder
        if not path.is_dir():
            path.mkdir()
            path.chmod(modes[1])
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path / name, flags, modes[0]), "wb") as stream, archive.open(item) as reader:
        os.fchmod(stream.fileno(), modes[0])
        while chunk := reader.read(CHUNK):
            check_cancelled()
            stream.write(chunk)
