from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from localrun.engines.dockerd.stream import demultiplex


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def joined(parts: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Join adjacent parts of the same stream."""
    groups = groupby((part for part in parts if part[1]), key=lambda part: part[0])
    return [(name, b"".join(part[1] for part in group)) for name, group in groups]


FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=12)


@given(FRAMES, st.data())
def test_frames_are_complete_for_any_chunk_boundaries(
    frames: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(frame(number, text) for number, text in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    expected = [({1: "stdout", 2: "stderr"}[number], text) for number, text in frames]
    assert joined(list(demultiplex(chunks))) == joined(expected)


def test_adjacent_frames_of_a_stream_are_joined() -> None:
    frames = frame(1, b"a") + frame(1, b"b") + frame(2, b"c") + frame(2, b"") + frame(1, b"d")
    assert list(demultiplex([frames])) == [("stdout", b"ab"), ("stderr", b"c"), ("stdout", b"d")]


def test_a_long_frame_is_streamed() -> None:
    whole = frame(2, b"abcdef")
    stream = demultiplex(iter([whole[:10], whole[10:]]))
    assert next(stream) == ("stderr", b"ab")
    assert next(stream) == ("stderr", b"cdef")


def test_a_stream_that_is_cut_ends_with_what_is_there() -> None:
    cut = frame(1, b"abc") + frame(2, b"def")[:9]
    assert list(demultiplex([cut])) == [("stdout", b"abc"), ("stderr", b"d")]
    assert list(demultiplex([cut[:4]])) == []
