"""Hostile tar headers: limits, linear work and typed errors."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from localrun.bundle.images import tar_reader
from localrun.bundle.images.compressed import CorruptArchive, FileSpan
from localrun.bundle.images.tar_reader import EXTENDED_HEADER_LIMIT, Member, TarReader
from tests.support.images import member
from tests.support.work import count_calls


def record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def archive(header: bytes, *, kind: bytes = tarfile.XHDTYPE, content: bytes = b"content") -> bytes:
    """A tar of one file with an extended header of these bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member("PaxHeader", header, kind=kind), io.BytesIO(header))
        tar.addfile(member("file", content), io.BytesIO(content))
    return packed.getvalue()


def read(folder: Path, data: bytes) -> list[Member]:
    path = folder / "image.tar"
    path.write_bytes(data)
    with FileSpan(path, 0, len(data)).open() as reader:
        return list(TarReader(reader))


def test_records_of_a_pax_header_are_applied(tmp_path: Path) -> None:
    header = record("mtime", "1.5") + record("path", "föö/" + "a" * 150) + record("size", "7")
    assert [(one.name, one.size) for one in read(tmp_path, archive(header))] == [("föö/" + "a" * 150, 7)]


def test_a_pax_header_is_parsed_in_linear_time() -> None:
    header = b"6 a=b\n"
    few = count_calls(lambda: tar_reader._parse_pax(header * 1000))
    many = count_calls(lambda: tar_reader._parse_pax(header * 4000))
    assert few < many < 4.5 * few


def test_a_pax_header_is_parsed_without_copying_its_rest() -> None:
    class Counted(bytes):
        """Bytes that count what is copied out of them."""

        copied = 0

        def __getitem__(self, key: slice) -> bytes:  # type: ignore[override]
            part = super().__getitem__(key)
            Counted.copied += len(part)
            return part

    header = b"6 a=b\n" * 5000
    tar_reader._parse_pax(Counted(header))
    assert Counted.copied < 10 * len(header)


@pytest.mark.parametrize("size", ["9" * 5000, "1" * 20, "-1", "x", "", "٣", "1.5", "1_0"])
def test_an_invalid_size_in_a_pax_header_is_a_damaged_archive(tmp_path: Path, size: str) -> None:
    with pytest.raises(CorruptArchive, match="pax header with an invalid size"):
        read(tmp_path, archive(record("size", size)))


def test_a_size_beyond_the_end_is_a_truncated_archive(tmp_path: Path) -> None:
    with pytest.raises(CorruptArchive, match="too early"):
        read(tmp_path, archive(record("size", "9" * 19)))


@pytest.mark.parametrize("header", [b"9" * 5000 + b" a=b\n", b"x", b"0 a=b\n", b"99 a=b\n", b" a=b\n"])
def test_a_malformed_pax_record_is_a_damaged_archive(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(CorruptArchive, match="malformed pax header"):
        read(tmp_path, archive(header))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE])
def test_an_extended_header_beyond_the_limit_is_not_read(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(CorruptArchive, match="an extended header of"):
        read(tmp_path, archive(b"a" * (EXTENDED_HEADER_LIMIT + 1), kind=kind))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(CorruptArchive, match="more than 4096 bytes"):
        read(tmp_path, archive(b"a" * 5000, kind=kind))


def test_records_that_are_not_used_are_not_kept() -> None:
    header = b"".join(record(f"key{number}", "x" * 50) for number in range(1000)) + record(
        "GNU.sparse.map", "1"
    )
    assert tar_reader._parse_pax(header) == {"GNU.sparse": ""}


def test_a_size_in_base_256_is_read(tmp_path: Path) -> None:
    data = bytearray(archive(record("comment", "x")))
    place = 1024
    data[place + 124 : place + 136] = b"\x80" + (2**80).to_bytes(11, "big")
    data[place + 148 : place + 156] = b" " * 8
    data[place + 148 : place + 156] = b"%06o\0 " % sum(data[place : place + 512])
    with pytest.raises(CorruptArchive, match="too early"):
        read(tmp_path, bytes(data))
