from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localrun.server.journal import Journal, TaskEventListener
from localrun.server.state import get_journal
from tests.support.environment import make_environment


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "logs")


def lines(journal: Journal) -> list[dict[str, Any]]:
    text = (journal.folder / "heartbeat_detailed.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_task_is_four_lines_at_the_most(tmp_path: Path, journal: Journal) -> None:
    with make_environment(
        tmp_path, lambda container: container.path("/outputs/sum").write_text("7") * 0
    ) as env:
        env.app.manager.subscribe(TaskEventListener(journal))
        record = env.run(values={"a": 3, "b": 4}, assigned_by="ray")
    kinds = [line["event_type"] for line in lines(journal)]
    assert kinds == ["task_created", "task_started", "task_completed"]
    assert {line["data"]["task_id"] for line in lines(journal)} == {record.id}
    assert {line["data"]["assigned_by"] for line in lines(journal)} == {"ray"}


def test_failures_of_a_kind_are_counted_as_one(tmp_path: Path, journal: Journal) -> None:
    with make_environment(tmp_path, lambda container: 3) as env:
        env.app.manager.subscribe(TaskEventListener(journal))
        for _ in range(2):
            env.run(values={"a": 3, "b": 4})
    errors = [line["data"] for line in lines(journal) if line["event_type"] == "task_error"]
    assert [error["error"] for error in errors] == ["EXIT_NONZERO"] * 2
    assert errors[0]["explanation"].startswith("the task failed with exit code 3")
    assert "EXIT_NONZERO" in (journal.folder / "heartbeat_errors.log").read_text()


def test_what_a_task_writes_is_not_in_the_journal(tmp_path: Path, journal: Journal) -> None:
    def program(container: Any) -> int:
        container.stdout.write("chatter\n")
        return 1

    with make_environment(tmp_path, program) as env:
        env.app.manager.subscribe(TaskEventListener(journal))
        env.run(values={"a": 3, "b": 4})
    assert [
        line
        for line in lines(journal)
        if line["event_type"] not in ("task_created", "task_started", "task_error")
    ] == []


def test_the_app_has_one_journal_that_hears_of_every_task(tmp_path: Path) -> None:
    with make_environment(tmp_path, lambda container: 1, logs=tmp_path / "elsewhere") as env:
        journal = get_journal(env.app)
        assert get_journal(env.app) is journal
        env.run(values={"a": 3, "b": 4})
    assert len(lines(journal)) == 3
