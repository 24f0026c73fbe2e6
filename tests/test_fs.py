from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from localrun import fs
from localrun.errors import LocalrunError


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    fs.write_atomic(str(path), b"new")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("new", [path])


def test_a_file_may_carry_the_time_of_what_it_is_about(tmp_path: Path) -> None:
    fs.write_atomic(str(tmp_path / "x"), b"1", 1234.5)
    assert (tmp_path / "x").stat().st_mtime == 1234.5


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.mkdir()
    (path / "inside").touch()
    with pytest.raises(LocalrunError, match="cannot write to"):
        fs.write_atomic(str(path), b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_lines_are_added_to_the_end(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        fs.append_line(str(tmp_path / "x"), line)
    assert (tmp_path / "x").read_text() == "one\ntwo\n"


def test_a_first_file_is_there_or_is_not(tmp_path: Path) -> None:
    fs.write_new(str(tmp_path / "x"), b"1")
    assert (tmp_path / "x").read_text() == "1"
    (tmp_path / "y").symlink_to("/dev/full")
    with pytest.raises(LocalrunError, match="no space left"):
        fs.write_new(str(tmp_path / "y"), b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_holes_in_files_count_for_the_size_but_not_for_the_disk_usage(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 100_000)
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(10**9)
    assert fs.folder_size(tmp_path) == 10**9 + 100_000
    assert 100_000 <= fs.disk_usage(tmp_path) < 200_000


def test_the_targets_of_links_do_not_count_for_the_size(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "large")
    (folder / "broken").symlink_to(tmp_path / "none")
    assert fs.folder_size(folder) < 1000


@pytest.mark.parametrize("name", ["x", ".hidden", "ü" * 127, "x" * 255])
def test_a_temporary_name_fits_and_is_recognised(tmp_path: Path, name: str) -> None:
    first, second = (Path(fs.temp_path(str(tmp_path / name))) for _ in range(2))
    assert first != second
    first.touch()
    os.utime(first, (1, 1))
    assert not fs.is_abandoned(first)  # of this process
    dead = first.rename(first.with_name(first.name.replace(f".{os.getpid()}-", f".{2**22 + 1}-")))
    assert fs.is_abandoned(dead)
    dead.touch()
    assert not fs.is_abandoned(dead)


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with suppress(KeyError), fs.atomic_file(tmp_path / "x") as temp:
        temp.mkdir()
        (temp / "a").touch()
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with fs.atomic_file(tmp_path / "x") as temp:
        temp.mkdir()
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_only_one_can_hold_a_lock(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    other = os.open(tmp_path / "x", os.O_RDONLY)
    with fs.locked(os.open(tmp_path / "x", os.O_RDONLY)):
        assert not fs.try_lock(other)
    assert fs.try_lock(other)
    os.close(other)


def test_looking_at_a_lock_keeps_no_process_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").touch()
    looking, other = (os.open(tmp_path / "x", os.O_RDONLY) for _ in range(2))
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not fs.is_locked(tmp_path / "x")
    monkeypatch.setattr(time, "sleep", lambda _: os.close(looking))
    assert fs.try_lock(other)
    assert fs.is_locked(tmp_path / "x")
    os.close(other)
