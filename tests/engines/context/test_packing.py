"""The tar of a build context: what docker would send, made while it is read."""

from __future__ import annotations

import io
import os
import secrets
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from localrun.engines.base import BuildRequest, ContainerSpec
from localrun.engines.context import packing
from localrun.engines.context.files import BuildContext
from localrun.engines.context.packing import pack_context
from localrun.engines.dockerd import DockerEngine
from localrun.errors import Cause, ImageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    (made / "Dockerfile").write_text("FROM scratch\n")
    return made


def pack(folder: Path, dockerfile: str | Path = "Dockerfile") -> bytes:
    return b"".join(pack_context(BuildContext(folder, dockerfile)).chunks)


def members(packed: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {member.name: member for member in tar.getmembers()}


def content(packed: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_owners_are_root_and_times_and_modes_are_kept(folder: Path) -> None:
    (folder / "a").write_text("1")
    (folder / "a").chmod(0o4750)
    os.utime(folder / "a", (1, 123456789.9))
    found = members(pack(folder))["a"]
    assert (found.uid, found.gid, found.uname, found.gname) == (0, 0, "", "")
    assert (found.mode, found.mtime) == (0o4750, 123456789)


def test_every_kind_of_file_is_sent_as_docker_sends_it(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "a").write_text("12")
    os.link(folder / "a", folder / "sub" / "hard")
    (folder / "link").symlink_to("/nowhere")
    os.mkfifo(folder / "pipe")
    found = members(pack(folder))
    assert found["sub"].isdir()
    assert (found["sub/hard"].islnk(), found["sub/hard"].linkname) == (True, "a")
    assert (found["link"].issym(), found["link"].linkname) == (True, "/nowhere")
    assert found["pipe"].isfifo()


def test_a_sparse_file_is_sent_with_its_zeros(folder: Path) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(3 << 20)
    assert content(pack(folder), "sparse") == bytes(3 << 20)


def test_long_names_and_names_that_are_not_utf_8_are_kept(folder: Path) -> None:
    names = ["x" * 200, "é" * 100, os.fsdecode(b"\xff\xfe"), "d/" + "y" * 250, "line\nbreak"]
    (folder / "d").mkdir()
    for name in names:
        (folder / name).write_bytes(b"1")
    assert {*names} < {*members(pack(folder))}


def test_two_tars_of_the_same_folder_are_equal(folder: Path) -> None:
    for name in ("c", "a", "b"):
        (folder / name).write_text(name)
    assert pack(folder) == pack(folder)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 3 << 20])
def test_a_file_that_changes_its_size_while_it_is_sent_keeps_the_tar_intact(
    folder: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, last = folder / "late", folder / "z"
    late.write_bytes(b"1" * (1 << 20))
    last.write_text("end")
    header = packing._header

    def header_before_the_change(info: tarfile.TarInfo) -> bytes:
        if info.name == "late":
            os.truncate(late, size)
        return header(info)

    monkeypatch.setattr(packing, "_header", header_before_the_change)
    packed = pack(folder)
    assert members(packed)["late"].size == 1 << 20
    assert content(packed, "z") == b"end"


def test_a_file_that_is_deleted_while_the_folder_is_sent_is_left_out(folder: Path) -> None:
    (folder / "a").write_bytes(bytes(2 << 20))
    (folder / "b").write_text("1")
    os.link(folder / "b", folder / "c")
    chunks = pack_context(BuildContext(folder)).chunks
    packed = next(chunks)
    (folder / "b").unlink()
    packed += b"".join(chunks)
    found = members(packed)
    assert sorted(found) == ["Dockerfile", "a", "c"]
    assert found["c"].isreg()


def test_memory_does_not_grow_with_the_context(folder: Path) -> None:
    for number in range(4):
        with (folder / str(number)).open("wb") as file:
            file.truncate(32 << 20)
    tracemalloc.start()
    try:
        size = sum(map(len, pack_context(BuildContext(folder)).chunks))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 128 << 20
    assert peak < 16 << 20


def test_the_dockerfile_and_the_ignore_file_are_sent_although_they_are_excluded(folder: Path) -> None:
    (folder / ".dockerignore").write_text("**\n!a\n")
    (folder / "a").write_text("1")
    (folder / "b").write_text("1")
    assert sorted(members(pack(folder))) == [".dockerignore", "Dockerfile", "a"]
    assert pack_context(BuildContext(folder)).dockerfile == "Dockerfile"


def test_a_dockerfile_outside_of_the_folder_is_sent_under_a_name_that_the_engine_removes(
    folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "own.Dockerfile"
    outside.write_text("FROM other\n")
    name = pack_context(BuildContext(folder, outside)).dockerfile
    assert sorted(members(pack(folder, outside))) == [name, ".dockerignore", "Dockerfile"]
    assert content(pack(folder, outside), name) == b"FROM other\n"
    assert content(pack(folder, outside), ".dockerignore").split() == [b".dockerignore", name.encode()]


def test_a_missing_dockerfile_is_reported_before_anything_is_sent(folder: Path) -> None:
    with pytest.raises(ImageError, match="absent does not exist") as caught:
        pack_context(BuildContext(folder, "absent"))
    assert caught.value.cause is Cause.IMAGE_BUILD_FAILED


@pytest.mark.docker
def test_the_engine_builds_what_was_packed_without_the_hidden_dockerfile(
    docker_engine: DockerEngine, busybox: str, folder: Path, tmp_path: Path
) -> None:
    # Given a context with unusual names, and a Dockerfile with an ignore file of its own outside of it
    outside = tmp_path / "own.Dockerfile"
    outside.write_text(f"FROM {busybox}\nCOPY . /context\n")
    (tmp_path / "own.Dockerfile.dockerignore").write_text("secret\n")
    (folder / "sub").mkdir()
    for name in ("secret", "sub/" + "y" * 200, os.fsdecode(b"\xff\xfe"), "a"):
        (folder / name).write_bytes(b"1")
    os.link(folder / "a", folder / "hard")
    os.mkfifo(folder / "pipe")

    # When the engine builds it
    name = f"localrun-test/packed:{secrets.token_hex(4)}"
    docker_engine.build_image(BuildRequest(folder, name, dockerfile=str(outside)))
    try:
        handle = docker_engine.create(ContainerSpec(image=name, name=f"localrun-test-{secrets.token_hex(4)}"))
        try:
            found = members(b"".join(docker_engine.copy_out(handle, "/context")))
        finally:
            docker_engine.remove(handle)
    finally:
        docker_engine.remove_image(name)

    # Then the image has the files, and neither the Dockerfile nor what its ignore file excludes
    names = {file.removeprefix("context/") for file in found} - {"context"}
    expected = {"Dockerfile", "a", "hard", "pipe", "sub", "sub/" + "y" * 200, os.fsdecode(b"\xff\xfe")}
    assert names == expected
    assert {(member.uid, member.gid) for member in found.values()} == {(0, 0)}
