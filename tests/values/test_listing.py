"""Listings of folders: all kinds of entries, without following links, also for hostile trees."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from localrun.values.listing import list_folder
from tests.conftest import OtherUser


def kinds(root: Path, limit: int = 100) -> dict[str, str]:
    return {leaf.path: leaf.kind for leaf in list_folder(root, limit).entries}


def test_everything_is_listed_each_folder_before_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "b/inner").mkdir(parents=True)
    (tmp_path / "b/inner/deep").write_text("123")
    (tmp_path / "a").write_text("12345")
    (tmp_path / "c").write_text("1")
    found = list_folder(tmp_path)
    assert [leaf.path for leaf in found.entries] == ["a", "b", "b/inner", "b/inner/deep", "c"]
    assert [leaf.size for leaf in found.entries] == [5, 0, 0, 3, 1]
    assert (found.size, found.is_truncated) == (9, False)


def test_the_time_is_when_the_file_was_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    os.utime(tmp_path / "a", (1, 1000.5))
    assert list_folder(tmp_path).entries[0].modified == 1000.5


def test_links_and_devices_are_shown_as_what_they_are_and_never_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("1")
    (root / "out").symlink_to(outside)
    (root / "file").symlink_to("/etc/hostname")
    (root / "nowhere").symlink_to("nothing")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    found = {leaf.path: leaf for leaf in list_folder(root).entries}
    assert {name: leaf.kind for name, leaf in found.items()} == {
        "out": "link", "file": "link", "nowhere": "link", "loop": "link", "pipe": "pipe", "socket": "socket",
    }  # fmt: skip
    assert found["out"].target == str(outside)
    assert list_folder(root).size == 0


def test_a_root_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x").write_text("1")
    (tmp_path / "root").symlink_to("real")
    assert list_folder(tmp_path / "root").entries == ()


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list_folder(tmp_path / "none").entries == ()


def test_a_list_has_an_end(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}").write_text("1")
    assert list_folder(tmp_path, 30).is_truncated is False
    found = list_folder(tmp_path, 10)
    assert (len(found.entries), found.is_truncated) == (10, True)


def test_a_tree_that_is_too_deep_is_told_and_left(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(200):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    found = list_folder(tmp_path).entries
    assert len(found) == 64
    assert found[-1].problem == "nested deeper than 64 folders"


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path, as_other_user: OtherUser) -> None:
    place = as_other_user.folder("closed")
    (place / "mine").mkdir()
    (place / "mine").chmod(0o700)
    script = (
        "import sys, pathlib; from localrun.values.listing import list_folder;"
        " print([leaf.problem for leaf in list_folder(pathlib.Path(sys.argv[1])).entries])"
    )
    assert (
        as_other_user.run(["-c", script, str(place)], cwd=place).stdout
        == "['cannot read: Permission denied']\n"
    )


def test_a_file_that_goes_meanwhile_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (tmp_path / name).write_text("1")
    scandir = os.scandir

    def look(folder: int) -> object:
        found = scandir(folder)
        (tmp_path / "a").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(os, "scandir", look)
    assert set(kinds(tmp_path)) <= {"b"}
