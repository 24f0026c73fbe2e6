"""Zips that are written while they are sent, in constant memory.

The members of a stored zip have their sizes and checksums in front of their data: readers of streams, such as
Java's, need them there. So each file is read twice.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple, cast

_CHUNK = 256 * 1024
_DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal files give equal zips
_DOS_DATE = 1 << 5 | 1  # the same date
_UTF8 = 0x800
_MAX_32, _MAX_16 = 0xFFFFFFFF, 0xFFFF
_OLD, _NEW = 20, 45  # versions needed to read: without and with Zip64
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_MODE = 0o100644 << 16
_UNIX = 3 << 8


class ZipMember(NamedTuple):
    """A file in a zip: its path in the zip, its size in bytes, and a function that opens it."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


class FileChanged(OSError):
    """A file became shorter while it was sent."""


def _chunks(member: ZipMember) -> Iterator[bytes]:
    left = member.size
    with member.open() as stream:
        while left:
            data = stream.read(min(_CHUNK, left))
            if not data:
                raise FileChanged(f"{member.name} became shorter while it was sent")
            left -= len(data)
            yield data


def stored_zip(members: Iterable[ZipMember]) -> Iterator[bytes]:
    """Yield a zip with uncompressed members, without entries for folders. Raises `OSError`."""
    entries: list[bytes] = []
    offset = 0
    for member in members:
        checksum = 0
        for data in _chunks(member):
            checksum = zlib.crc32(data, checksum)
        header = _local_header(member, checksum)
        yield header
        yield from _chunks(member)
        entries.append(_central_entry(member, checksum, offset))
        offset += len(header) + member.size
    yield from entries
    yield _end(len(entries), sum(map(len, entries)), offset)


def _local_header(member: ZipMember, checksum: int) -> bytes:
    name = member.name.encode()
    extra = struct.pack("<2H2Q", 1, 16, member.size, member.size) if member.size >= _MAX_32 else b""
    size = _MAX_32 if extra else member.size
    version = _NEW if extra else _OLD
    fields = (version, _UTF8, 0, 0, _DOS_DATE, checksum, size, size, len(name), len(extra))
    return _LOCAL.pack(b"PK\x03\x04", *fields) + name + extra


def _central_entry(member: ZipMember, checksum: int, offset: int) -> bytes:
    name = member.name.encode()
    sizes = (member.size, member.size) if member.size >= _MAX_32 else ()
    large = (*sizes, *((offset,) if offset >= _MAX_32 else ()))
    extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    size = _MAX_32 if sizes else member.size
    version = _NEW if extra else _OLD
    head = (_UNIX | version, version, _UTF8, 0, 0, _DOS_DATE, checksum, size, size, len(name), len(extra))
    tail = (0, 0, 0, _MODE, min(offset, _MAX_32))
    return _CENTRAL.pack(b"PK\x01\x02", *head, *tail) + name + extra


def _end(count: int, size: int, offset: int) -> bytes:
    """Return the end of the list of members, which has `size` bytes and starts at `offset`."""
    found = b""
    if count >= _MAX_16 or size >= _MAX_32 or offset >= _MAX_32:
        fields = (_END_64.size - 12, _UNIX | _NEW, _NEW, 0, 0, count, count, size, offset)
        found = _END_64.pack(b"PK\x06\x06", *fields)
        found += _LOCATOR_64.pack(b"PK\x06\x07", 0, offset + size, 1)
    counts = (min(count, _MAX_16),) * 2
    return found + _END.pack(b"PK\x05\x06", 0, 0, *counts, min(size, _MAX_32), min(offset, _MAX_32), 0)


class _Pipe:
    """A stream that zipfile writes to; `take` returns what was written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: zipfile calls this."""

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def deflated_zip(members: Iterable[ZipMember]) -> Iterator[bytes]:
    """Yield a zip with compressed members, without entries for folders. Raises `OSError`."""
    pipe = _Pipe()
    with zipfile.ZipFile(cast("BinaryIO", pipe), "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            info = zipfile.ZipInfo(member.name, _DATE)
            info.compress_type, info.external_attr, info.file_size = zipfile.ZIP_DEFLATED, _MODE, member.size
            with archive.open(info, "w") as packed:
                for data in _chunks(member):
                    packed.write(data)
                    yield pipe.take()
            yield pipe.take()
    yield pipe.take()
