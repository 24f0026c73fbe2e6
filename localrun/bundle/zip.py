"""A zip from somebody nobody has to trust. Nothing of it is ever unpacked to disk.

Every name is checked although only two members are read: a zip that is made to break out of a folder is
refused here, as whatever unpacks it later might be less careful.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from localrun.bundle import magic
from localrun.bundle.images.compressed import CorruptArchive, FileSpan, check_growth
from localrun.errors import BundleError, Problem

DESCRIPTOR_LIMIT = 1 << 20  # bytes
DIRECTORY_LIMIT = 16 << 20  # bytes of the list of members, which is read into memory
MEMBER_LIMIT = 10_000
_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_DRIVE = re.compile(r"[A-Za-z]:")
_ENCRYPTED, _STREAMED = 0x1, 0x8  # general purpose flags
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 98: "PPMd", 99: "AES encryption"}
PACK_AGAIN = "pack it again: zip -0 bundle.zip descriptor.yml NAMESPACE-VERSION.tar"


class ZipReader:
    """A zip whose members were found safe. Use `opened`."""

    def __init__(self, path: Path, file: BinaryIO, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._file, self._archive = file, archive

    @property
    def names(self) -> list[str]:
        """The files in it, as they are called in it."""
        return [item.filename for item in self._archive.infolist() if not item.is_dir()]

    def read(self, name: str) -> bytes:
        """Read a small member. Raises `BundleError` when it is not small, or damaged."""
        item = self._archive.getinfo(name)
        try:
            with self.span(name).open() as reader:
                data = reader.read(DESCRIPTOR_LIMIT + 1)
        except CorruptArchive as error:
            raise _damaged(self.path, name, str(error)) from error
        if len(data) > DESCRIPTOR_LIMIT:
            raise BundleError(
                f"{name} in {self.path.name} is larger than {DESCRIPTOR_LIMIT} bytes",
                remedy="a descriptor is a short text: see what was packed under its name",
            )
        if zlib.crc32(data) != item.CRC:
            raise _damaged(self.path, name, "its content does not fit its checksum")
        return data

    def span(self, name: str) -> FileSpan:
        """Say where a member's bytes lie. Raises `BundleError` when they are not where they should be."""
        item = self._archive.getinfo(name)
        size = self.path.stat().st_size
        start = self._content_of(item) if 0 <= item.header_offset < size else size
        if start + item.compress_size > size:
            raise _damaged(self.path, name, "it is not where the zip's list of members says")
        return FileSpan(self.path, start, item.compress_size, ("deflate",) if item.compress_type else ())

    def is_streamed(self, name: str) -> bool:
        """Whether the member is stored with its size behind it, which stream readers cannot take."""
        item = self._archive.getinfo(name)
        return item.compress_type == zipfile.ZIP_STORED and bool(item.flag_bits & _STREAMED)

    def _content_of(self, item: zipfile.ZipInfo) -> int:
        self._file.seek(item.header_offset)
        header = self._file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise _damaged(self.path, item.filename, "it is not where the zip's list of members says")
        *_, name_length, extra_length = _LOCAL.unpack(header)
        return item.header_offset + _LOCAL.size + int(name_length) + int(extra_length)


@contextmanager
def open_zip(path: Path) -> Iterator[ZipReader]:
    """Open a zip after checking every member's name, kind and size.

    Raises `BundleError` that says what the file is instead of a zip, or lists all that is unsafe in it.
    """
    with path.open("rb") as file:
        _check_kind(path, file)
        _check_directory(path, file)
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
            raise _cut_off(path, str(error)) from error
        with archive:
            _check_members(path, archive.infolist())
            yield ZipReader(path, file, archive)


def _check_kind(path: Path, file: BinaryIO) -> None:
    kind = magic.detect(file)
    if kind == "zip":
        return
    remedy = PACK_AGAIN
    if kind == "tar":
        remedy = "a bundle is a zip of descriptor.yml and the image archive: put this tar into one"
    article = "an" if kind[0] in "aeioux" else "a"
    raise BundleError(f"{path.name} is not a zip: it is {article} {kind}", remedy=remedy, kind=kind)


def _check_directory(path: Path, file: BinaryIO) -> None:
    """Look at the size of the list of members before it is read into memory."""
    size = path.stat().st_size
    start = max(0, size - 65536 - _END.size)
    file.seek(start)
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise _cut_off(path, "its list of members, which comes last, is not there")
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, place)
    if tail[place - 20 : place - 16] == b"PK\x06\x07":
        count, length = _zip64(file, int.from_bytes(tail[place - 12 : place - 4], "little"))
    if length > DIRECTORY_LIMIT or count > MEMBER_LIMIT:
        raise BundleError(
            f"{path.name} lists {count} members in {length} bytes: that is no bundle", remedy=PACK_AGAIN
        )


def _zip64(file: BinaryIO, place: int) -> tuple[int, int]:
    file.seek(min(place, 1 << 62))
    record = file.read(56)
    return int.from_bytes(record[32:40], "little"), int.from_bytes(record[40:48], "little")


def _check_members(path: Path, items: list[zipfile.ZipInfo]) -> None:
    problems = [problem for item in items for problem in _problems(item)]
    counts = Counter(item.filename.removeprefix("./") for item in items)
    problems += [
        Problem(repr(name), f"it is in the zip {count} times", "leave one")
        for name, count in counts.items()
        if count > 1
    ]
    if problems:
        raise BundleError(f"{path.name} is not safe to read", remedy=PACK_AGAIN, problems=problems)


def _problems(item: zipfile.ZipInfo) -> Iterator[Problem]:
    name, place = item.orig_filename, repr(item.orig_filename)
    if name.startswith("/") or _DRIVE.match(name):
        yield Problem(place, "an absolute name")
    if "\\" in name or "\0" in name:
        yield Problem(place, "a backslash or a null byte in a name")
    if ".." in name.split("/"):
        yield Problem(place, "a name that leads out of the bundle (..)")
    mode = item.external_attr >> 16
    if stat.S_ISLNK(mode):
        yield Problem(place, "a symbolic link", "put the file itself in: zip without --symlinks")
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield Problem(place, "neither a file nor a folder")
    if item.flag_bits & _ENCRYPTED:
        yield Problem(place, "it is encrypted", "pack it without a password")
    elif item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = _METHODS.get(item.compress_type, f"method {item.compress_type}")
        yield Problem(place, f"it is compressed with {method}", "use deflate, or better none: zip -0")
    try:
        check_growth(item.compress_size, item.file_size)
    except CorruptArchive as error:
        yield Problem(place, str(error))


def _damaged(path: Path, name: str, why: str) -> BundleError:
    return BundleError(f"{name!r} in {path.name} is damaged: {why}", remedy="copy or pack the bundle again")


def _cut_off(path: Path, why: str) -> BundleError:
    return BundleError(
        f"{path.name} starts as a zip and is cut off or damaged: {why}", remedy="copy or pack it again"
    )
