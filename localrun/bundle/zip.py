"""Read an untrusted bundle zip. Nothing is unpacked to disk.

All member names are checked although only two members are read: the tool that unpacks the zip later may be
less careful.
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

from localrun import fs
from localrun.bundle import lfs, magic
from localrun.bundle.folder import DESCRIPTOR_LIMIT
from localrun.bundle.images.compressed import CorruptArchive, FileSpan, check_growth
from localrun.errors import BundleError, Problem

DIRECTORY_LIMIT = 16 << 20  # bytes of the central directory, which is read into memory
MEMBER_LIMIT = 10_000
_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_DRIVE = re.compile(r"[A-Za-z]:")
_ENCRYPTED, _STREAMED = 0x1, 0x8  # general purpose flags
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 98: "PPMd", 99: "AES encryption"}
PACK_AGAIN = "pack it again: zip -0 bundle.zip descriptor.yml NAMESPACE-VERSION.tar"


class ZipReader:
    """A zip with checked members. Created by `open_zip`."""

    def __init__(self, path: Path, file: BinaryIO, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._file, self._archive = file, archive

    @property
    def names(self) -> list[str]:
        return [item.filename for item in self._archive.infolist() if not item.is_dir()]

    def read(self, name: str) -> bytes:
        """Read a small member. Raises `BundleError` if it is too large or damaged."""
        item = self._archive.getinfo(name)
        try:
            with self.span(name).open() as reader:
                data = reader.read(DESCRIPTOR_LIMIT + 1)
        except CorruptArchive as error:
            raise _damaged(self.path, name, str(error)) from error
        if len(data) > DESCRIPTOR_LIMIT:
            message = f"{name} in {self.path.name} is larger than {DESCRIPTOR_LIMIT} bytes"
            raise BundleError(message, remedy="check that the right file was packed as the descriptor")
        if zlib.crc32(data) != item.CRC:
            raise _damaged(self.path, name, "its checksum does not match")
        return data

    def span(self, name: str) -> FileSpan:
        """Locate the bytes of a member. Raises `BundleError` if the zip gives a wrong position."""
        item = self._archive.getinfo(name)
        size = self.path.stat().st_size
        start = self._content_start(item) if 0 <= item.header_offset < size else size
        if start + item.compress_size > size:
            raise _damaged(self.path, name, "it is not where the central directory says")
        return FileSpan(self.path, start, item.compress_size, ("deflate",) if item.compress_type else ())

    def is_streamed(self, name: str) -> bool:
        """Return whether the size of a stored member follows its content; stream readers cannot read it."""
        item = self._archive.getinfo(name)
        return item.compress_type == zipfile.ZIP_STORED and bool(item.flag_bits & _STREAMED)

    def _content_start(self, item: zipfile.ZipInfo) -> int:
        self._file.seek(item.header_offset)
        header = self._file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise _damaged(self.path, item.filename, "it is not where the central directory says")
        *_, name_length, extra_length = _LOCAL.unpack(header)
        return item.header_offset + _LOCAL.size + int(name_length) + int(extra_length)


@contextmanager
def open_zip(path: Path) -> Iterator[ZipReader]:
    """Open a zip after checking the name, type and size of every member.

    Raises `BundleError` with the actual type of the file, or with all unsafe members.
    """
    with fs.open_regular(path) as file:
        _check_type(path, file)
        _check_directory(path, file)
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
            raise _truncated(path, str(error)) from error
        with archive:
            _check_members(path, archive.infolist())
            yield ZipReader(path, file, archive)


def _check_type(path: Path, file: BinaryIO) -> None:
    kind = magic.detect(file)
    if kind == "zip":
        return
    pack_tar = "a bundle is a zip with descriptor.yml and the image archive: pack this tar into a zip"
    remedy = {"tar": pack_tar, "Git LFS pointer": lfs.REMEDY}.get(kind, PACK_AGAIN)
    article = "an" if kind[0] in "aeioux" else "a"
    raise BundleError(f"{path.name} is not a zip: it is {article} {kind}", remedy=remedy, kind=kind)


def _check_directory(path: Path, file: BinaryIO) -> None:
    """Check the size of the central directory before it is read into memory."""
    size = path.stat().st_size
    start = max(0, size - 65536 - _END.size)
    file.seek(start)
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise _truncated(path, "its central directory is missing")
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, place)
    if tail[place - 20 : place - 16] == b"PK\x06\x07":
        count, length = _zip64(file, int.from_bytes(tail[place - 12 : place - 4], "little"))
    if length > DIRECTORY_LIMIT or count > MEMBER_LIMIT:
        message = f"{path.name} lists {count} members in {length} bytes, too many for a bundle"
        raise BundleError(message, remedy=PACK_AGAIN)


def _zip64(file: BinaryIO, place: int) -> tuple[int, int]:
    file.seek(min(place, 1 << 62))
    record = file.read(56)
    return int.from_bytes(record[32:40], "little"), int.from_bytes(record[40:48], "little")


def _check_members(path: Path, items: list[zipfile.ZipInfo]) -> None:
    problems = [problem for item in items for problem in _member_problems(item)]
    counts = Counter(item.filename.removeprefix("./") for item in items)
    repeated = [(name, count) for name, count in counts.items() if count > 1]
    problems += [
        Problem(repr(name), f"found {count} times in the zip", "keep one") for name, count in repeated
    ]
    if problems:
        raise BundleError(
            f"{path.name} is not safe to read", remedy=PACK_AGAIN, problems=problems, is_unsafe=True
        )


def _member_problems(item: zipfile.ZipInfo) -> Iterator[Problem]:
    name, quoted = item.orig_filename, repr(item.orig_filename)
    if name.startswith("/") or _DRIVE.match(name):
        yield Problem(quoted, "an absolute name")
    if "\\" in name or "\0" in name:
        yield Problem(quoted, "a backslash or a null byte in a name")
    if ".." in name.split("/"):
        yield Problem(quoted, "a name that leads out of the bundle (..)")
    mode = item.external_attr >> 16
    if stat.S_ISLNK(mode):
        yield Problem(quoted, "a symbolic link", "pack the file itself: zip without --symlinks")
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield Problem(quoted, "neither a file nor a folder")
    if item.flag_bits & _ENCRYPTED:
        yield Problem(quoted, "an encrypted file", "pack it without a password")
    elif item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = _METHODS.get(item.compress_type, f"method {item.compress_type}")
        yield Problem(quoted, f"unsupported compression: {method}", "store it uncompressed: zip -0")
    try:
        check_growth(item.compress_size, item.file_size)
    except CorruptArchive as error:
        yield Problem(quoted, str(error))


def _damaged(path: Path, name: str, reason: str) -> BundleError:
    message = f"{name!r} in {path.name} is damaged: {reason}"
    return BundleError(message, remedy="copy or pack it again", is_damaged=True)


def _truncated(path: Path, reason: str) -> BundleError:
    message = f"{path.name} is a truncated or damaged zip: {reason}"
    return BundleError(message, remedy="copy or pack it again", is_damaged=True)
