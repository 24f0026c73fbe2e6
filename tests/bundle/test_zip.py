"""Untrusted zips: unsafe ones are refused with the reason, and nothing is unpacked."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.bundle.images import compressed
from localrun.bundle.images.archive import inspect
from localrun.bundle.zip import open_zip
from localrun.errors import BundleError, ImageError
from tests.support.archives import old_save
from tests.support.images import tar_of

SOUND = {"descriptor.yml": b"name: x\n", "a-1.tar": tar_of(old_save())}


def zip_bytes(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def with_member(change: Callable[[zipfile.ZipInfo], object], name: str = "extra") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for other, data in SOUND.items():
            archive.writestr(other, data)
        item = zipfile.ZipInfo(name)
        change(item)
        archive.writestr(item, b"content")
    return packed.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "task.zip"


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(BundleError) as caught, open_zip(path):
        pytest.fail("it was opened")
    assert caught.value.remedy
    return str(caught.value)


# -- valid zips


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_and_the_archive_is_found_inside(path: Path, method: int) -> None:
    path.write_bytes(zip_bytes(SOUND, method))
    with open_zip(path) as archive:
        assert archive.names == list(SOUND)
        assert archive.read("descriptor.yml") == b"name: x\n"
        with archive.span("a-1.tar").open() as reader:
            assert reader.read(1 << 20) == SOUND["a-1.tar"]


def test_a_zip64_is_read(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as made:
        for name, data in SOUND.items():
            with made.open(name, "w", force_zip64=True) as member:
                member.write(data)
    with open_zip(path) as archive, archive.span("a-1.tar").open() as reader:
        assert reader.read(1 << 20) == SOUND["a-1.tar"]


def test_a_zip_with_a_comment_is_read(path: Path) -> None:
    path.write_bytes(zip_bytes(SOUND))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"c" * 5000
    with open_zip(path) as found:
        assert found.names == list(SOUND)


def test_a_member_that_was_stored_as_a_stream_is_noticed(path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError("a pipe")

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for name, data in SOUND.items():
            archive.writestr(name, data)
    path.write_bytes(pipe.getvalue())
    with open_zip(path) as found:
        assert found.is_streamed("a-1.tar")


# -- other files


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "an empty file"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "a 7z archive"),
        (gzip.compress(b"x", mtime=0), "a gzip file"),
        (tar_of({"x": b"1"}), "a tar"),
        (b"BZh91AY", "a bzip2 file"),
        (b"\xfd7zXZ\x00", "an xz file"),
        (b"\x28\xb5\x2f\xfd..", "a zstd file"),
        (b"Rar!\x1a\x07\x00", "a rar archive"),
        (b"name: task\n", "a text"),
        (b"\x7fELF\x01\x02", "an unknown file"),
        (zip_bytes({}), "an empty zip"),
    ],
)
def test_a_file_that_is_no_zip_is_named_as_what_it_is(path: Path, data: bytes, said: str) -> None:
    assert f"task.zip is not a zip: it is {said}" in refused(path, data)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_zip_that_was_cut_off_is_said_to_be(path: Path, kept: float) -> None:
    whole = zip_bytes(SOUND)
    assert "truncated or damaged zip" in refused(path, whole[: int(len(whole) * kept)])


# -- unsafe zips


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/etc/passwd", "an absolute name"),
        ("C:evil", "an absolute name"),
        ("../evil", "leads out"),
        ("a/../../evil", "leads out"),
        ("a\\..\\evil", "a backslash"),
        ("__MACOSX/../../evil", "leads out"),
    ],
)
def test_names_that_could_leave_a_folder_are_refused(path: Path, name: str, said: str) -> None:
    message = refused(path, zip_bytes({**SOUND, name: b"x"}))
    assert repr(name) in message
    assert said in message
    assert sorted(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("mode", "said"),
    [(stat.S_IFLNK, "a symbolic link"), (stat.S_IFIFO, "neither"), (stat.S_IFBLK, "neither")],
)
def test_what_is_neither_file_nor_folder_is_refused(path: Path, mode: int, said: str) -> None:
    data = with_member(lambda item: setattr(item, "external_attr", (mode | 0o777) << 16))
    assert f"'extra': {said}" in refused(path, data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(path: Path) -> None:
    assert "'a-1.tar': found 2 times in the zip" in refused(path, with_member(lambda _: None, "a-1.tar"))
    assert "2 times" in refused(path, zip_bytes({**SOUND, "./a-1.tar": b"x"}))


def test_an_encrypted_member_is_refused(path: Path) -> None:
    data = bytearray(zip_bytes({**SOUND, "extra": b"x"}))
    entry = data.rfind(b"PK\x01\x02")
    data[entry + 8] |= 1
    assert "'extra': an encrypted file; pack it without a password" in refused(path, bytes(data))


@pytest.mark.parametrize(("method", "said"), [(12, "bzip2"), (14, "LZMA"), (99, "AES"), (77, "method 77")])
def test_a_compression_that_few_can_read_is_refused_by_name(path: Path, method: int, said: str) -> None:
    data = bytearray(zip_bytes({**SOUND, "extra": b"x"}))
    struct.pack_into("<H", data, data.rfind(b"PK\x01\x02") + 10, method)
    assert said in refused(path, bytes(data))


def test_every_problem_is_told_at_once(path: Path) -> None:
    said = refused(path, zip_bytes({**SOUND, "/abs": b"x", "../up": b"x", "back\\slash": b"x"}))
    assert said.count("\n  - ") == 3


def test_a_list_of_too_many_members_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localrun.bundle.zip.MEMBER_LIMIT", 1)
    assert "lists 2 members" in refused(path, zip_bytes(SOUND))


def test_a_list_that_claims_gigabytes_is_not_read(path: Path) -> None:
    data = bytearray(zip_bytes(SOUND))
    struct.pack_into("<L", data, data.rfind(b"PK\x05\x06") + 12, 0xF0000000)
    assert "too many for a bundle" in refused(path, bytes(data))


# -- errors while reading


def test_a_bomb_that_says_so_is_refused_before_it_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "RATIO_FLOOR", 1 << 16)
    assert "like a zip bomb" in refused(
        path, zip_bytes({**SOUND, "b-1.tar": bytes(1 << 20)}, zipfile.ZIP_DEFLATED)
    )


def test_a_bomb_that_lies_is_stopped_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "RATIO_FLOOR", 1 << 20)
    bomb = gzip.compress(tar_of({"zeros": bytes(4 << 20)}))  # not visible in the central directory
    path.write_bytes(zip_bytes({"descriptor.yml": b"", "a-1.tar.gz": bomb}))
    with open_zip(path) as archive:
        found = archive.span("a-1.tar.gz")
    with pytest.raises(ImageError, match="like a zip bomb"):
        inspect(found, "a-1.tar.gz")


def test_a_descriptor_that_unpacks_to_megabytes_is_refused(path: Path) -> None:
    path.write_bytes(zip_bytes({**SOUND, "descriptor.yml": bytes(3 << 20)}, zipfile.ZIP_DEFLATED))
    with open_zip(path) as archive, pytest.raises(BundleError, match="larger than 1048576 bytes"):
        archive.read("descriptor.yml")


def test_a_descriptor_that_was_changed_does_not_pass_its_checksum(path: Path) -> None:
    path.write_bytes(zip_bytes(SOUND).replace(b"name: x\n", b"name: y\n"))
    with open_zip(path) as archive, pytest.raises(BundleError, match="is damaged"):
        archive.read("descriptor.yml")


def test_a_member_that_is_not_where_the_list_says_is_refused(path: Path) -> None:
    data = bytearray(zip_bytes(SOUND))
    struct.pack_into("<L", data, data.rfind(b"PK\x01\x02") + 42, 7)
    path.write_bytes(data)
    with open_zip(path) as archive, pytest.raises(BundleError, match="is not where"):
        archive.span("a-1.tar")


@given(st.data())
def test_whatever_is_changed_in_a_zip_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(zip_bytes(SOUND, zipfile.ZIP_DEFLATED))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=5)):
        whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.zip"
    path.write_bytes(whole)
    outcome = "read"
    try:
        with open_zip(path) as archive:
            for name in archive.names:
                outcome += repr((archive.read(name), inspect(archive.span(name), name)))
    except (BundleError, ImageError) as error:
        outcome = error.message
    assert outcome
