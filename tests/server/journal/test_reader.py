"""Every line is read once and in order, also across rotations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.server.journal import Journal, Line


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def journal(logs: Path) -> Journal:
    return Journal(logs, max_bytes=1000, keep=100)


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def note(journal: Journal, *numbers: int, **more: Any) -> None:
    for number in numbers:
        journal.emit("note", data={"n": number, **more})


def numbers(lines: Iterator[Line]) -> list[int]:
    return [line["data"]["n"] for line in lines]


def followed(journal: Journal, stop: threading.Event, **more: Any) -> Iterator[Line]:
    return journal.follow(every=0.01, stop=stop, **more)


def test_rotated_lines_are_read_too_the_oldest_first(journal: Journal, logs: Path) -> None:
    note(journal, *range(50))
    assert len(list(logs.glob("heartbeat_detailed.jsonl.*"))) > 2
    assert numbers(journal.read()) == list(range(50))


def test_what_is_no_json_object_is_passed_over(journal: Journal, logs: Path) -> None:
    note(journal, 1)
    with (logs / "heartbeat_detailed.jsonl").open("ab") as stream:
        stream.write(b"no json\n[1]\n\xff\n" + b"[" * 100 + b"\n")
    note(journal, 2)
    assert numbers(journal.read()) == [1, 2]


def test_lines_are_chosen_by_task_type_and_request(journal: Journal) -> None:
    note(journal, 1, task_id="abc-1")
    note(journal, 2, task_id="xyz")
    journal.emit("task_error", request_id="r", data={"n": 3}, metadata={"task_id": "abc-1"})
    assert numbers(journal.read(task_id="abc")) == [1, 3]
    assert numbers(journal.read(event_type="task_error")) == [3]
    assert numbers(journal.read(request_id="r", task_id="abc")) == [3]
    assert numbers(journal.read(task_id="none")) == []


def test_heartbeats_are_read_by_their_type(journal: Journal) -> None:
    note(journal, 1)
    journal.emit("heartbeat", data={"n": 2})
    assert numbers(journal.read()) == [1]
    assert numbers(journal.read(event_type="heartbeat")) == [2]


def test_a_journal_without_its_folder_is_read_as_what_is_there(journal: Journal, logs: Path) -> None:
    for path in logs.glob("heartbeat*"):
        path.unlink()
    assert list(journal.read()) == []


def test_what_comes_is_followed_over_many_rotations_between_two_looks(
    journal: Journal, stop: threading.Event
) -> None:
    note(journal, *range(10))
    following = followed(journal, stop, past=True)
    first = next(following)
    note(journal, *range(10, 200))
    stop.set()
    assert [first["data"]["n"], *numbers(following)] == list(range(200))


def test_only_what_comes_is_followed_unless_the_past_is_asked_for(
    journal: Journal, stop: threading.Event
) -> None:
    note(journal, 1)
    found: list[int] = []
    began = threading.Event()
    reader = threading.Thread(target=_follow_into, args=(followed(journal, stop), found, began, stop))
    reader.start()
    while not began.is_set():
        note(journal, 2)
        began.wait(0.02)
    reader.join(60)
    assert found == [2]


def _follow_into(
    lines: Iterator[Line], found: list[int], began: threading.Event, stop: threading.Event
) -> None:
    found.append(next(lines)["data"]["n"])
    began.set()
    stop.set()
    for _ in lines:
        pass


def test_a_file_that_is_moved_away_or_emptied_is_followed_on(
    journal: Journal, logs: Path, stop: threading.Event
) -> None:
    note(journal, 1)
    following = followed(journal, stop, past=True)
    assert next(following)["data"]["n"] == 1
    (logs / "heartbeat_detailed.jsonl").rename(logs / "backup")
    note(journal, 2, text="x" * 300)
    assert next(following)["data"]["n"] == 2
    (logs / "heartbeat_detailed.jsonl").write_bytes(b"")
    note(journal, 3)
    assert next(following)["data"]["n"] == 3
    following.close()  # type: ignore[attr-defined]


def test_a_line_is_given_when_it_is_whole(journal: Journal, logs: Path, stop: threading.Event) -> None:
    path = logs / "heartbeat_detailed.jsonl"
    path.write_text('{"data": {"n": 1}}\n{"data": {')
    following = followed(journal, stop, past=True)
    assert next(following)["data"]["n"] == 1
    with path.open("a") as stream:
        stream.write('"n": 2}}\n')
    assert next(following)["data"]["n"] == 2
    following.close()  # type: ignore[attr-defined]


def test_following_leaves_no_file_open(journal: Journal, stop: threading.Event) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    note(journal, *range(30))
    stop.set()
    assert numbers(followed(journal, stop, past=True)) == list(range(30))
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
