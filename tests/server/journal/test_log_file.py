"""Log files contain whole lines, even if they are moved, filled, deleted or torn."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.server.journal.log_file import LogFile, lock_folder


@pytest.fixture
def file(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path / "a.log", 100, 3, lambda fragment: fragment + b" (torn)\n")


def add(file: LogFile, *lines: str) -> None:
    for line in lines:
        with lock_folder(file.path.parent):
            file.append(line.encode() + b"\n")


def content(file: LogFile) -> list[str]:
    return [line for path in file.versions() for line in path.read_text().splitlines()]


def test_a_line_is_in_the_file_at_once(file: LogFile) -> None:
    add(file, "one", "two")
    assert file.path.read_text() == "one\ntwo\n"


def test_a_file_that_was_moved_away_is_made_anew(file: LogFile) -> None:
    add(file, "one")
    file.path.rename(file.path.with_name("backup"))
    add(file, "two")
    assert file.path.read_text() == "two\n"


def test_a_file_that_was_deleted_is_made_anew(file: LogFile) -> None:
    add(file, "one")
    file.path.unlink()
    add(file, "two")
    assert content(file) == ["two"]


def test_a_full_file_is_kept_beside_the_new_one(file: LogFile) -> None:
    add(file, "x" * 90, "y" * 90)
    assert [path.name for path in file.versions()] == ["a.log.1", "a.log"]
    assert content(file) == ["x" * 90, "y" * 90]


def test_only_so_many_old_files_are_kept_the_newest_of_them(file: LogFile) -> None:
    add(file, *(f"{number}" * 90 for number in range(9)))
    assert content(file) == [f"{number}" * 90 for number in (5, 6, 7, 8)]


def test_a_line_longer_than_a_file_is_written_all_the_same(file: LogFile) -> None:
    add(file, "x" * 500, "y")
    assert content(file) == ["x" * 500, "y"]


def test_a_line_of_which_only_a_part_was_written_is_mended(file: LogFile) -> None:
    file.path.write_text("whole\nto")
    add(file, "next")
    assert content(file) == ["whole", "to (torn)", "next"]


def test_a_file_that_is_nothing_but_a_torn_line_is_mended(file: LogFile) -> None:
    file.path.write_text("to")
    add(file, "next")
    assert content(file) == ["to (torn)", "next"]


def test_where_nothing_can_be_renamed_the_file_grows_on_and_no_line_is_lost(file: LogFile) -> None:
    for number in (1, 2, 3):
        (file.path.with_name(f"a.log.{number}") / "in the way").mkdir(parents=True)
    add(file, "x" * 90, "y" * 90)
    assert file.path.read_text() == "x" * 90 + "\n" + "y" * 90 + "\n"


def test_a_file_that_cannot_be_written_is_an_error(file: LogFile) -> None:
    file.path.mkdir()
    with pytest.raises(OSError), lock_folder(file.path.parent):
        file.append(b"x\n")
