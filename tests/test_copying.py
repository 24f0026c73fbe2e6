from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import pytest

from localrun import copying

TIB = 1024**4


def sparse(path: Path, size: int = TIB) -> Path:
    """Create a file with data at its beginning, in the middle and at its end, and holes."""
    with path.open("wb") as stream:
        stream.write(b"head")
        stream.seek(size // 2)
        stream.write(b"middle")
        stream.seek(size - 4)
        stream.write(b"tail")
    return path


def test_holes_stay_holes(tmp_path: Path) -> None:
    copying.copy_file(sparse(tmp_path / "a"), tmp_path / "b")
    status = (tmp_path / "b").stat()
    assert status.st_size == TIB
    assert status.st_blocks * 512 < 1024**2
    with (tmp_path / "b").open("rb") as stream:
        assert stream.read(5) == b"head\0"
        stream.seek(TIB // 2)
        assert stream.read(7) == b"middle\0"
        stream.seek(-5, os.SEEK_END)
        assert stream.read() == b"\0tail"


def test_a_file_system_that_needs_another_system_call_gets_the_same_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "not supported")

    monkeypatch.setattr(os, "sendfile", refuse)
    data = os.urandom(3 * 1024**2 + 5)
    (tmp_path / "a").write_bytes(data)
    copying.copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == data


def test_blocks_are_shared_where_the_file_system_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(32 * 1024)  # small files are not shared

    def ioctl(target: int, request: int, source: int) -> int:
        assert request == 0x40049409
        os.write(target, os.pread(source, len(data), 0))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(os, "sendfile", lambda *_: pytest.fail("copied"))
    (tmp_path / "a").write_bytes(data)
    copying.copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == data


def test_a_change_of_the_copy_does_not_change_the_original(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("stored")
    copying.copy_file(tmp_path / "a", tmp_path / "b")
    with (tmp_path / "b").open("r+") as stream:
        stream.write("edited")
    assert (tmp_path / "a").read_text() == "stored"
    assert (tmp_path / "b").stat().st_nlink == 1


def test_the_mode_of_a_copy_is_that_of_the_umask(tmp_path: Path) -> None:
    (tmp_path / "a").touch(0o600)
    before = os.umask(0o027)
    try:
        copying.copy_file(tmp_path / "a", tmp_path / "b")
    finally:
        os.umask(before)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o640


def test_a_copy_that_does_not_fit_on_the_disk_is_refused_before_a_byte_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(bytes(1024**2))
    monkeypatch.setattr(copying, "_ALLOWANCE", 0)
    monkeypatch.setattr(copying, "_copy_chunk", lambda *_: pytest.fail("written"))
    with pytest.raises(OSError, match=r"not enough disk space: 1 MiB more would fill the disk to") as caught:
        copying.copy_file(tmp_path / "a", tmp_path / "b", limit=copying.DiskLimit(0.1))
    assert caught.value.errno == errno.ENOSPC
    assert not (tmp_path / "b").exists()


def test_a_small_file_is_copied_although_the_disk_is_nearly_full(tmp_path: Path) -> None:
    limit = copying.DiskLimit(0.1)
    (tmp_path / "a").write_text("small")
    copying.copy_file(tmp_path / "a", tmp_path / "b", limit=limit)
    (tmp_path / "large").write_bytes(bytes(17 * 1024**2))
    with pytest.raises(OSError, match="not enough disk space"):
        copying.copy_file(tmp_path / "large", tmp_path / "c", limit=limit)


def test_a_file_is_checked_against_the_free_space_with_its_real_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fstatvfs(os.open(tmp_path, os.O_RDONLY))
    full = os.statvfs_result((*tuple(real)[:4], 1, *tuple(real)[5:]))
    monkeypatch.setattr(os, "fstatvfs", lambda _: full)
    (tmp_path / "a").write_bytes(bytes(1024**2))
    with pytest.raises(OSError, match="1 MiB to copy, 4 KiB free"):
        copying.copy_file(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_an_interrupted_copy_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "a").write_text("data")

    def cancel() -> None:
        raise error

    with pytest.raises(type(error)):
        copying.copy_file(tmp_path / "a", tmp_path / "b", check_cancelled=cancel)
    assert not (tmp_path / "b").exists()


def test_a_file_without_a_size_is_read_to_its_end(tmp_path: Path) -> None:
    copying.copy_file(Path("/proc/self/status"), tmp_path / "b")
    assert (tmp_path / "b").read_text().startswith("Name:")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        copying.copy_file(tmp_path / "pipe", tmp_path / "b")


def test_a_tree_is_copied_with_links_as_links(tmp_path: Path) -> None:
    (tmp_path / "a/deep/empty").mkdir(parents=True)
    (tmp_path / "a/deep/file").write_text("1")
    (tmp_path / "a/skipped").write_text("2")
    (tmp_path / "a/link").symlink_to("/etc/passwd")
    (tmp_path / "a/folder").symlink_to("deep")
    (tmp_path / "b").mkdir()
    copying.copy_tree(tmp_path / "a", tmp_path / "b", skip={"skipped"})
    found = sorted(path.relative_to(tmp_path / "b").as_posix() for path in (tmp_path / "b").rglob("*"))
    assert found == ["deep", "deep/empty", "deep/file", "folder", "link"]
    assert str((tmp_path / "b/link").readlink()) == "/etc/passwd"
    shutil.rmtree(tmp_path / "b")


def test_a_killed_process_leaves_no_part_of_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(bytes(9))
    (tmp_path / "out").mkdir()
    found: list[list[Path]] = []

    def look(*_: object, **__: object) -> None:
        found.append(list((tmp_path / "out").iterdir()))

    monkeypatch.setattr(copying, "copy_content", look)
    copying.copy_file(tmp_path / "a", tmp_path / "out/a")
    assert found == [[]]
    assert (tmp_path / "out/a").exists()


def test_a_file_system_without_unnamed_files_gets_the_same_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_UNNAMED", os.O_WRONLY)  # opening a folder for writing fails
    (tmp_path / "a").write_bytes(b"data")
    copying.copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"data"


def test_small_files_are_checked_against_the_disk_limit_together(tmp_path: Path) -> None:
    source, limit = tmp_path / "source", copying.DiskLimit(0.0)
    source.write_bytes(os.urandom(16_000))

    def copy(count: int) -> None:
        with source.open("rb") as file:
            for _ in range(count):
                copying.copy_into(file.fileno(), str(tmp_path / uuid4().hex), limit=limit)

    with patch("os.fstatvfs", wraps=os.fstatvfs) as fstatvfs:
        copy(50)
        assert fstatvfs.call_count == 0
        with pytest.raises(OSError, match="would fill the disk") as caught:
            copy(1200)  # more than 16 MiB in all
    assert fstatvfs.call_count < 20
    assert caught.value.errno == errno.ENOSPC


def test_a_copy_into_a_folder_does_not_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("new")
    (tmp_path / "target").write_text("old")
    with (tmp_path / "source").open("rb") as file, pytest.raises(FileExistsError):
        copying.copy_into(file.fileno(), str(tmp_path / "target"))
    assert (tmp_path / "target").read_text() == "old"
