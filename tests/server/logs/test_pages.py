from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.server.logs import line_index, pages
from localrun.server.logs.pages import LogPages, Start
from localrun.task.log import TaskLog


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a few bytes at once, so that short logs have many marks."""
    monkeypatch.setattr(line_index, "STEP", 16)
    monkeypatch.setattr(pages, "STEP", 16)


def all_pages(path: Path, limit: int) -> list[dict[str, Any]]:
    found, log, start = [], LogPages(), Start(byte=0)
    while (page := log.page(path, start, limit))["entries"]:
        found += page["entries"]
        assert page["end"]["byte"] > page["start"]["byte"]
        start = Start(byte=page["end"]["byte"])
    return found


lines = st.lists(st.text("ab\r é", max_size=40), max_size=12)


@given(given_lines=lines, ends=st.booleans(), limit=st.integers(1, 5))
def test_pages_hold_every_line_with_its_number_and_offset(
    tmp_path_factory: pytest.TempPathFactory, given_lines: list[str], ends: bool, limit: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "task.log"
    text = "\n".join(given_lines) + ("\n" if ends and given_lines else "")
    path.write_bytes(data := text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_index, "STEP", 16)
        patch.setattr(pages, "STEP", 16)
        found = all_pages(path, limit)
        parts = data.split(b"\n")
        expected = parts[:-1] if parts[-1] == b"" else parts
        assert [entry["line"] for entry in found] == list(range(1, len(expected) + 1))
        offset = 0
        for entry, line in zip(found, expected, strict=True):
            assert entry["byte"] == offset
            whole = line.decode().removesuffix("\r")
            assert entry["text"] == whole or (entry.get("cut") and whole.encode().startswith(line[:1]))
            offset += len(line) + 1
        for number, entry in enumerate(found, 1):
            start = LogPages().page(path, Start(line=number), 1)["start"]
            assert start == {"line": number, "byte": entry["byte"]}
        tail = LogPages().page(path, Start(tail=2), 9)
        assert tail["start"]["line"] == max(1, len(expected) - 1)
        assert tail["lines"] == len(expected)


@given(
    given_lines=st.lists(st.text("abAB\n", max_size=9), max_size=30),
    needle=st.text("ab", min_size=1, max_size=3),
)
def test_a_search_finds_every_line_with_the_text_once(
    tmp_path_factory: pytest.TempPathFactory, given_lines: list[str], needle: str
) -> None:
    path = tmp_path_factory.mktemp("log") / "task.log"
    path.write_text(text := "\n".join(given_lines))
    expected = [number for number, line in enumerate(text.split("\n"), 1) if needle in line.lower()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "STEP", 64)
        found: list[int] = []
        start: int | None = 0
        while start is not None:
            answer = LogPages().find(path, needle.upper(), start, 3)
            assert len(answer["matches"]) <= 3
            found += [match["line"] for match in answer["matches"]]
            for match in answer["matches"]:
                at = match["column"]
                assert match["text"][at : at + len(needle)].lower() == needle
            start = answer["next"]
    assert found == expected


@given(
    parts=st.lists(
        st.tuples(st.text("ab\n", max_size=20), st.sampled_from(["stdout", "stderr"])), max_size=20
    ),
    needle=st.text("ab", max_size=2),
    stream=st.sampled_from(["stdout", "stderr"]),
)
def test_a_search_in_one_stream_finds_every_line_of_it(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[str, Any]], needle: str, stream: str
) -> None:
    path = tmp_path_factory.mktemp("log") / "task.log"
    log = TaskLog(path, 10_000)
    for text, name in parts:
        log.write(text.encode(), name)
    log.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "STEP", 32)
        lines = all_pages(path, 100)
        found = LogPages().find(path, needle, 0, 1000, stream)["matches"]
    expected = [one["line"] for one in lines if one["stream"] == stream and needle in one["text"]]
    assert [match["line"] for match in found] == expected


def test_the_lines_have_their_stream_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.5, 20.0, 30.0, 40.0])
    monkeypatch.setattr("localrun.task.log.time.time", lambda: next(clock))
    log = TaskLog(tmp_path / "task.log", 10_000)
    log.write(b"one\n", "stdout")
    log.write(b"two\n", "stderr")
    log.write(b"[localrun: output is missing here]\n", "stderr")
    log.write(b"three\n", "stdout")
    log.close()
    found = LogPages().page(tmp_path / "task.log", Start(), 10)["entries"]
    assert [(one["text"], one["stream"], one["time"]) for one in found] == [
        ("one", "stdout", 10.0),
        ("two", "stderr", 10.0),
        ("[localrun: output is missing here]", "localrun", 20.0),
        ("three", "stdout", 30.0),
    ]
    only = LogPages().find(tmp_path / "task.log", "t", 0, 10, "stderr")["matches"]
    assert [match["line"] for match in only] == [2]


def test_a_long_line_is_cut_and_passed(tmp_path: Path) -> None:
    path = tmp_path / "task.log"
    path.write_bytes(b"first\n" + b"x" * (3 * 1024**2) + b"\nlast\n")
    page = LogPages().page(path, Start(byte=0), 10)
    assert [entry["text"] for entry in page["entries"]] == ["first"]
    page = LogPages().page(path, Start(byte=page["end"]["byte"]), 10)
    (entry,) = page["entries"]
    assert (len(entry["text"]), entry["cut"], entry["line"]) == (10_000, True, 2)
    page = LogPages().page(path, Start(byte=page["end"]["byte"]), 10)
    assert [(one["text"], one["line"]) for one in page["entries"]] == [("last", 3)]


def test_a_growing_log_is_counted_on_and_a_new_one_again(tmp_path: Path) -> None:
    path, log = tmp_path / "task.log", LogPages()
    path.write_bytes(b"one\ntwo")
    assert log.page(path, Start(tail=1), 5)["start"]["line"] == 2
    whole = log.page(path, Start(), 5, whole_lines=True)
    assert [entry["text"] for entry in whole["entries"]] == ["one"]
    with path.open("ab") as stream:
        stream.write(b" more\nthree\n")
    assert log.page(path, Start(tail=1), 5)["entries"][0]["line"] == 3
    path.write_bytes(b"x\n")
    assert log.page(path, Start(), 5)["lines"] == 1
    path.unlink()
    assert log.page(path, Start(), 5)["entries"] == []
    assert log.find(path, "x", 0, 5)["matches"] == []


def test_a_match_in_a_long_line_is_shown_with_its_surroundings(tmp_path: Path) -> None:
    path = tmp_path / "task.log"
    path.write_bytes(b"a" * 5000 + b"needle" + b"b" * 5000)
    (match,) = LogPages().find(path, "NEEDLE", 0, 5)["matches"]
    assert len(match["text"]) == 500
    assert match["text"][match["column"] :].startswith("needle")
