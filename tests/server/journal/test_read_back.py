from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.server.journal import Journal, reader
from tests.support.server_client import serve_environment


def everything(journal: Journal, limit: int, **chosen: str) -> list[int]:
    """Return the numbers of all events, page by page."""
    found, position = [], None
    while True:
        lines, position = journal.read_back(before=position, limit=limit, **chosen)
        found += [line["data"]["n"] for line in lines if "n" in line["data"]]
        if position is None:
            return found


@given(count=st.integers(0, 40), limit=st.integers(1, 9), sizes=st.lists(st.integers(0, 90), min_size=1))
def test_pages_hold_every_line_once_across_rotated_files(
    tmp_path_factory: pytest.TempPathFactory, count: int, limit: int, sizes: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_PIECE", 50)
        journal = Journal(tmp_path_factory.mktemp("logs"), max_bytes=2000, keep=50)
        for number in range(count):
            journal.emit("event", data={"n": number, "text": "x" * sizes[number % len(sizes)]})
        assert everything(journal, limit) == list(reversed(range(count)))


def test_lines_are_chosen_by_type_and_task(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(6):
        journal.emit("even" if number % 2 == 0 else "odd", data={"n": number, "task_id": f"task-{number}"})
    assert everything(journal, 2, event_type="odd") == [5, 3, 1]
    assert everything(journal, 2, task_id="task-4") == [4]


def test_damaged_lines_and_unknown_positions_are_passed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.emit("a", data={"n": 1})
    with (tmp_path / "heartbeat_detailed.jsonl").open("ab") as stream:
        stream.write(b"not json\n\xff\n[1]\n")
    journal.emit("a", data={"n": 2})
    assert everything(journal, 1) == [2, 1]
    assert journal.read_back(before="1-5", limit=1)[0][0]["data"] == {"n": 2}
    with pytest.raises(ValueError, match="invalid position"):
        journal.read_back(before="x", limit=1)


def test_the_journal_is_read_over_http(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        task_id = env.post({})["task_id"]
        first = env.client.get("/journal?limit=2").json()
        assert len(first["lines"]) == 2
        second = env.client.get(f"/journal?limit=1000&before={first['next']}").json()
        kinds = [line["event_type"] for line in [*first["lines"], *second["lines"]]]
        assert kinds == [line["event_type"] for line in reversed(env.lines())]
        assert second["next"] is None
        chosen = env.client.get(f"/journal?type=task_created&task={task_id}").json()["lines"]
        assert [line["data"]["task_id"] for line in chosen] == [task_id]
        assert env.client.get("/journal?before=x").status_code == 422
        assert json.dumps(first)
