"""Zips are written while they are sent, and readers of streams can read the stored ones."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest

from localrun.server.appengine import archives
from localrun.server.appengine.archives import FileChanged, ZipMember, deflated_zip, stored_zip


def member(name: str, data: bytes) -> ZipMember:
    return ZipMember(name, len(data), lambda: io.BytesIO(data))


@pytest.mark.parametrize("write", [stored_zip, deflated_zip])
def test_a_zip_has_the_files_and_no_folders(write: Callable[..., object]) -> None:
    members = [member("a", b"18"), member("items/0", bytes(600_000)), member("ü/empty", b"")]
    data = b"".join(write(members))  # type: ignore[arg-type]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a", "items/0", "ü/empty"]
        assert archive.read("items/0") == bytes(600_000)


def test_an_empty_zip_can_be_read() -> None:
    with zipfile.ZipFile(io.BytesIO(b"".join(stored_zip([])))) as archive:
        assert archive.namelist() == []


def test_stored_members_have_size_and_checksum_before_their_data() -> None:
    data = b"".join(stored_zip([member("a", b"content")]))
    fields = struct.unpack_from("<4s5H3L2H", data)
    assert fields[0] == b"PK\x03\x04"
    flags, method, checksum, packed, size = fields[2], fields[3], fields[6], fields[7], fields[8]
    assert (flags & 0x8, method, checksum, packed, size) == (0, 0, zlib.crc32(b"content"), 7, 7)


def test_deflated_members_are_compressed() -> None:
    data = b"".join(deflated_zip([member("a", bytes(1_000_000))]))
    assert len(data) < 10_000


def test_large_zips_use_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MAX_32", 50)  # as if four bytes held no more
    monkeypatch.setattr(archives, "_MAX_16", 2)
    members = [member(f"{number}", bytes(30 * number)) for number in range(4)]
    data = b"".join(stored_zip(members))
    with zipfile.ZipFile(io.BytesIO(data.replace(struct.pack("<L", 50), b"\xff\xff\xff\xff"))) as archive:
        assert [(item.filename, item.file_size) for item in archive.infolist()] == [
            (f"{number}", 30 * number) for number in range(4)
        ]


@pytest.mark.parametrize("write", [stored_zip, deflated_zip])
def test_a_file_that_becomes_shorter_ends_the_zip(write: Callable[..., object]) -> None:
    short = ZipMember("a", 10, lambda: io.BytesIO(b"x"))
    with pytest.raises(FileChanged):
        list(write([short]))  # type: ignore[call-overload]
