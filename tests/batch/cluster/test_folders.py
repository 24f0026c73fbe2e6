"""The folders of tasks as archives."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.batch.cluster import folders
from localrun.copying import DiskLimit
from localrun.errors import Cause, LocalrunError


@pytest.fixture
def task(tmp_path: Path) -> Path:
    folder = tmp_path / "node" / "task-1"
    (folder / "outputs" / "deep").mkdir(parents=True)
    (folder / "task.json").write_text("{}")
    (folder / "reserve").write_bytes(bytes(100))
    (folder / "outputs" / "deep" / "näme").write_bytes(os.urandom(3 * 1024**2 + 5))
    (folder / "outputs" / "reserve").write_text("an output")
    (folder / "outputs" / "link").symlink_to("/content/input.png")
    os.mkfifo(folder / "outputs" / "pipe")
    os.utime(folder / "task.json", (1000.5, 1000.5))
    return folder


def unpack(data: Iterator[bytes], target: Path, percent: float = 100.0) -> list[str]:
    target.mkdir()
    found = folders.unpack(data, target, lambda text: f"/client{text}", DiskLimit(percent))
    return [workspace.id for workspace in found]


def test_a_folder_arrives_as_it_was(task: Path, tmp_path: Path) -> None:
    assert unpack(folders.chunks(folders.pack([task]), 100_000), tmp_path / "here") == ["task-1"]
    here = tmp_path / "here" / "task-1"
    for name in ("task.json", "outputs/deep/näme", "outputs/reserve"):
        assert (here / name).read_bytes() == (task / name).read_bytes()
    assert (here / "task.json").stat().st_mtime == 1000.5
    assert (here / "outputs" / "link").readlink() == Path("/client/content/input.png")
    assert not (here / "reserve").exists()
    assert not (here / "outputs" / "pipe").exists()


def test_a_hole_takes_no_space(tmp_path: Path) -> None:
    task = tmp_path / "node" / "task-1"
    task.mkdir(parents=True)
    with (task / "sparse").open("wb") as stream:
        stream.truncate(64 * 1024**2)
    unpack(folders.pack([task]), tmp_path / "here")
    found = (tmp_path / "here" / "task-1" / "sparse").stat()
    assert (found.st_size, found.st_blocks * 512 < 1024**2) == (64 * 1024**2, True)


def test_the_digest_follows_the_last_chunk(task: Path) -> None:
    reader = folders.ChunkedReader(folders.pack([task]))
    parts = [reader.next()]
    while not parts[-1][1]:
        parts.append(reader.next())
    assert parts[-1][0] == b""
    assert b"".join(data for data, _ in parts) == b"".join(folders.pack([task]))


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "alone", "a/../../evil"])
def test_an_archive_cannot_write_outside_of_its_folder(name: str, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(LocalrunError, match="invalid archive"):
        unpack(iter([data.getvalue()]), tmp_path / "here")
    assert not (tmp_path / "evil").exists()


def test_a_truncated_archive_is_an_error(task: Path, tmp_path: Path) -> None:
    data = b"".join(folders.pack([task]))
    with pytest.raises(LocalrunError, match="invalid archive"):
        unpack(iter([data[: len(data) // 2]]), tmp_path / "here")


def test_an_archive_stops_at_the_disk_limit(task: Path, tmp_path: Path) -> None:
    (task / "outputs" / "large").write_bytes(os.urandom(20 * 1024**2))
    with pytest.raises(LocalrunError) as caught:
        unpack(folders.pack([task]), tmp_path / "here", percent=0.0)
    assert caught.value.cause is Cause.DISK_FULL
