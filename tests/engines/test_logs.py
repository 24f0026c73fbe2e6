from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from localrun.engines.base import StreamName
from localrun.engines.dockerd.logs import LogChunk, LogPosition

NAMES: st.SearchStrategy[StreamName] = st.sampled_from(["stdout", "stderr"])
PARTS: st.SearchStrategy[list[LogChunk]] = st.lists(st.tuples(NAMES, st.binary(max_size=9)), max_size=9)


def texts(parts: list[LogChunk]) -> dict[str, bytes]:
    return {name: b"".join(text for each, text in parts if each == name) for name in ("stdout", "stderr")}


@given(PARTS, st.data())
def test_the_lost_end_of_a_log_is_read_again_without_duplicates(
    log: list[LogChunk], data: st.DataObject
) -> None:
    first = log[: data.draw(st.integers(0, len(log)))]
    shown = LogPosition()
    for name, text in first:
        shown.advance(name, text)
    assert texts(first + list(shown.remaining(log))) == texts(log)


def test_a_log_whose_start_is_gone_adds_nothing() -> None:
    shown = LogPosition()
    shown.advance("stdout", b"first\n")
    assert list(shown.remaining([("stdout", b"other\nlater\n")])) == []
