"""The different files of multiple folders, and the first difference in each."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from localrun.task.record import Disagreement
from localrun.values.compare.first_difference import first_difference
from localrun.values.compare.replicas import (
    ReplicaOutput,
    compare_outputs,
    describe_disagreement,
    select_declared,
)
from localrun.values.digest import digest_folder

Content = dict[str, bytes | str]


def folder(path: Path, content: Content) -> ReplicaOutput:
    """A folder with these files; a text is what a link leads to."""
    for name, data in content.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, str):
            place.symlink_to(data)
        else:
            place.write_bytes(data)
    path.mkdir(exist_ok=True)
    return ReplicaOutput(path, digest_folder(path).files, {})


def found(tmp_path: Path, *contents: Content) -> list[Disagreement]:
    results = {number: folder(tmp_path / str(number), content) for number, content in enumerate(contents, 1)}
    return compare_outputs(results)[0]


def only(tmp_path: Path, *contents: bytes) -> Disagreement:
    folders: list[Content] = [{"x": content} for content in contents]
    (one,) = found(tmp_path, *folders)
    return one


def test_equal_folders_have_no_disagreements(tmp_path: Path) -> None:
    assert found(tmp_path, {"a/b": b"x", "c": "a"}, {"a/b": b"x", "c": "a"}) == []


def test_a_text_differs_at_a_line_and_a_column(tmp_path: Path) -> None:
    one = only(tmp_path, b"first\nsecond\n", b"first\nsecret\n")
    assert (one.path, one.line, one.column, one.offset) == ("x", 2, 4, 9)
    assert [(side.replicas, side.size, side.value) for side in one.variants] == [
        ([1], 13, "second\n"),
        ([2], 13, "secret\n"),
    ]


def test_columns_count_characters_and_offsets_bytes(tmp_path: Path) -> None:
    one = only(tmp_path, "äöü1".encode(), "äöü2".encode())
    assert (one.line, one.column, one.offset) == (1, 4, 6)


def test_bytes_that_are_no_text_differ_at_an_offset_and_are_shown_as_digits(tmp_path: Path) -> None:
    one = only(tmp_path, b"\x00\x01\x02\xff", b"\x00\x01\x03\xff")
    assert (one.line, one.column, one.offset) == (0, 0, 2)
    assert [side.value for side in one.variants] == ["02 ff", "03 ff"]


def test_a_file_that_goes_on_where_another_ends_differs_there(tmp_path: Path) -> None:
    one = only(tmp_path, b"one\n", b"one\ntwo\n")
    assert (one.line, one.column, one.offset) == (2, 1, 4)
    assert [side.value for side in one.variants] == ["", "two\n"]
    assert any("end of file" in line for line in describe_disagreement(one))


def test_replicas_with_the_same_content_are_one_side(tmp_path: Path) -> None:
    one = only(tmp_path, b"a", b"b", b"a")
    assert [side.replicas for side in one.variants] == [[1, 3], [2]]
    assert "replicas 1 and 3: 'a'" in list(describe_disagreement(one))


def test_a_file_that_some_lack_is_a_disagreement(tmp_path: Path) -> None:
    (one,) = found(tmp_path, {"deep/x": b"1"}, {"y": b"2", "deep/x": b"1"})
    assert (one.path, one.offset) == ("y", None)
    assert [(side.replicas, side.kind) for side in one.variants] == [([1], "nothing"), ([2], "file")]


def test_a_link_is_not_followed_and_differs_from_a_file(tmp_path: Path) -> None:
    # Given a link that leads out, to a file with the same content as the other's
    (tmp_path / "secret").write_bytes(b"1")
    (one,) = found(tmp_path, {"x": "../secret"}, {"x": b"1"})

    # Then they differ, and nothing of it was read
    assert [(side.kind, side.value) for side in one.variants] == [("link", "../secret"), ("file", "")]


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    os.mkfifo(tmp_path / "1" / "x")
    (one,) = found(tmp_path, {}, {"x": b"1"})
    assert [side.kind for side in one.variants] == ["pipe", "file"]


def test_a_long_line_is_shown_around_the_place_only(tmp_path: Path) -> None:
    line = b"a" * 5000
    one = only(tmp_path, line + b"1" + line, line + b"2" + line)
    assert (one.column, one.offset) == (5001, 5000)
    assert all(len(side.value) < 110 and side.value.startswith("…") for side in one.variants)


def test_a_character_that_the_excerpt_cuts_does_no_harm(tmp_path: Path) -> None:
    line = "ä".encode() * 100
    one = only(tmp_path, b"x" + line + b"1" + line, b"x" + line + b"2" + line)
    assert (one.line, one.column) == (1, 102)
    assert "\ufffd" not in one.variants[0].value


def test_only_so_many_files_are_told_of_and_the_rest_is_counted(tmp_path: Path) -> None:
    contents: list[Content] = [{f"f{n:03}": str(side).encode() for n in range(7)} for side in (1, 2)]
    results = {number: folder(tmp_path / str(number), one) for number, one in enumerate(contents, 1)}
    some, left_out = compare_outputs(results, limit=5)
    assert ([one.path for one in some], left_out) == ([f"f00{n}" for n in range(5)], 2)


def test_only_declared_outputs_count_unless_none_is_declared(tmp_path: Path) -> None:
    whole = digest_folder(folder(tmp_path / "o", {"sum": b"1", "list/0": b"2", "core.123": b"3"}).folder)
    assert sorted(select_declared(whole, ["sum", "list"])) == ["list/0", "sum"]
    assert select_declared(whole, []) == whole.files


def streams(contents: Sequence[bytes]) -> list[BinaryIO]:
    return [cast("BinaryIO", io.BytesIO(content)) for content in contents]


@given(
    st.binary(max_size=30),
    st.lists(st.binary(max_size=30), min_size=2, max_size=4),
    st.integers(1, 16),
)
def test_the_first_difference_is_the_first_difference(head: bytes, tails: list[bytes], chunk: int) -> None:
    # Given contents that begin alike and are not all the same
    contents = [head + tail for tail in tails]
    assume(len(set(contents)) > 1)

    # When they are compared in chunks of any size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("localrun.values.compare.first_difference._CHUNK", chunk)
        found = first_difference(streams(contents))
    assert found is not None
    offset, line, start = found

    # Then all before the place is the same, and the place is not
    assert len({content[:offset] for content in contents}) == 1
    assert len({content[offset : offset + 1] for content in contents}) > 1
    assert line == contents[0][:offset].count(b"\n") + 1
    assert start == contents[0][:offset].rfind(b"\n") + 1


@given(st.binary(max_size=30), st.integers(1, 16))
def test_equal_files_have_no_first_difference(content: bytes, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("localrun.values.compare.first_difference._CHUNK", chunk)
        assert first_difference(streams([content] * 3)) is None


def test_holes_are_compared_without_reading_them(tmp_path: Path) -> None:
    size = 1024**4
    for name, end in (("a", b"x"), ("b", b"x"), ("c", b"y")):
        with (tmp_path / name).open("wb") as stream:
            stream.write(b"line\n")
            stream.seek(size)
            stream.write(end)
    with ExitStack() as stack:
        one, same, other = (stack.enter_context((tmp_path / name).open("rb")) for name in "abc")
        assert first_difference((one, same)) is None
        one.seek(0)
        assert first_difference((one, other)) == (size, 2, 5)
