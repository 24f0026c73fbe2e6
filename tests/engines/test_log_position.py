from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.engines.base import LogChunk, StreamName
from localrun.engines.log_position import LogMismatch, LogPosition, Tail

NAMES: st.SearchStrategy[StreamName] = st.sampled_from(["stdout", "stderr"])
PARTS: st.SearchStrategy[list[LogChunk]] = st.lists(st.tuples(NAMES, st.binary(max_size=9)), max_size=9)


def texts(parts: list[LogChunk]) -> dict[str, bytes]:
    return {name: b"".join(text for each, text in parts if each == name) for name in ("stdout", "stderr")}


def position_after(parts: list[LogChunk]) -> LogPosition:
    position = LogPosition()
    for name, text in parts:
        position.advance(name, text)
    return position


@given(PARTS, st.data())
def test_the_lost_end_of_a_log_is_read_again_without_duplicates(
    log: list[LogChunk], data: st.DataObject
) -> None:
    first = log[: data.draw(st.integers(0, len(log)))]
    assert texts(first + list(position_after(first).remaining(log))) == texts(log)


def test_a_log_whose_start_is_gone_is_a_mismatch() -> None:
    shown = position_after([("stdout", b"first\n")])
    with pytest.raises(LogMismatch):
        list(shown.remaining([("stdout", b"other\nlater\n")]))


def test_a_log_that_is_shorter_than_what_was_read_is_a_mismatch() -> None:
    shown = position_after([("stdout", b"one\ntwo\n")])
    with pytest.raises(LogMismatch):
        list(shown.remaining([("stdout", b"one\n")]))


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=9), st.data())
def test_the_end_of_a_log_is_found_in_a_copy_whose_start_is_gone(
    pieces: list[bytes], data: st.DataObject
) -> None:
    # Given a log of distinct lines, of which the copy has only the end
    lines = [b"%d %b\n" % (number, piece.replace(b"\n", b"")) for number, piece in enumerate(pieces)]
    read = data.draw(st.integers(1, len(lines)))
    lost = data.draw(st.integers(0, read - 1))
    position = position_after([("stdout", line) for line in lines[lost:read]])
    copy: list[LogChunk] = [("stdout", line) for line in lines[lost:]]

    # Then only what follows the log is delivered
    found = position.locate(copy)
    assert found.is_found
    assert texts(list(found.after(copy)))["stdout"] == b"".join(lines[read:])


def test_a_copy_that_starts_later_than_the_log_ends_is_reported() -> None:
    position = position_after([("stdout", b"one\ntwo\n")])
    copy: list[LogChunk] = [("stdout", b"four\n")]
    found = position.locate(copy)
    assert (found.is_found, found.is_whole) == (False, False)
    assert list(found.after(copy)) == copy


def test_a_copy_with_the_start_of_the_log_is_whole() -> None:
    position = position_after([("stdout", b"one\nthree\n")])
    assert position.locate([("stdout", b"one\nthree\nfour\n")]).is_whole
    assert not position.locate([("stdout", b"one\n")]).is_whole


def test_the_last_lines_of_two_logs_are_compared_by_stream() -> None:
    position = position_after([("stdout", b"a\nb\n"), ("stderr", b"x\n")])
    assert position.ends_like([("stderr", b"x\n"), ("stdout", b"b\n")])
    assert position.ends_like([])
    assert not position.ends_like([("stdout", b"c\n")])


@given(st.lists(st.binary(max_size=7), max_size=20), st.integers(1, 20))
def test_a_tail_keeps_the_last_bytes(parts: list[bytes], size: int) -> None:
    tail = Tail(size)
    for part in parts:
        tail.append(part)
    assert tail.last(size) == b"".join(parts)[-size:]
    assert tail.last(0) == b""


def test_a_lost_line_end_is_no_difference() -> None:
    # Given a line of 16 KiB: Docker's copy lacks its end
    line = b"x" * 16384
    position = position_after([("stdout", b"a\n" + line + b"\nend\n")])
    assert position.ends_like([("stdout", b"a\n" + line + b"end\n")])
    assert not position.ends_like([("stdout", b"a\n" + line + b"end\nmore\n")])
