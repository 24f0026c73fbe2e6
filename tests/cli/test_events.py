from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from localrun.cli import main
from localrun.server.journal import Journal
from tests.cli.command import Process


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.chdir(tmp_path)
    return Journal(tmp_path / "logs", max_bytes=400, keep=9)


def test_events_are_shown_the_oldest_first_also_rotated_ones(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        journal.emit("task_created", data={"task_id": f"task-{number}", "assigned_by": "ray"})
    assert main(["events"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 2)[1:] for line in lines] == [
        ["task_created", f"task_id=task-{number} assigned_by=ray"] for number in range(6)
    ]


def test_events_are_chosen_by_task_and_type(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("task_created", "task_error"):
        for task in ("one-1", "two-2"):
            journal.emit(kind, data={"task_id": task})
    journal.emit("heartbeat", data={"running": 1})
    assert main(["events", "--task", "one", "--type", "task_error", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["data"]["task_id"] == "one-1"
    assert main(["events", "--type", "heartbeat", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == {"running": 1}


def test_what_a_task_is_called_cannot_steer_the_terminal(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.emit("task_created", data={"task_id": "x", "assigned_by": "\x1b]0;title\x07"})
    main(["events"])
    assert "\x1b" not in capsys.readouterr().out


def test_where_there_is_no_journal_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["events"]) == 0
    assert "no journal in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_events_are_followed_as_they_come(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "logs")
    journal.emit("task_created", data={"task_id": "before"})
    with Process("events", "-f", "--type", "task_created", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert "task_id=before" in process.stdout.readline()
        journal.emit("task_error", data={"task_id": "other"})
        journal.emit("task_created", data={"task_id": "after"})
        assert "task_id=after" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        result = process.result()
    assert (result.code, result.out, result.err.strip()) == (130, "", "")
