"""Reused results over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server_client import ServerEnvironment, add, serve_environment


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


def test_a_reused_task_is_not_created(served: ServerEnvironment) -> None:
    first = served.post(served.bundle(a=3, b=4))
    assert "reused" not in first
    served.wait(first["task_id"])
    again = served.post({**served.bundle(a=3, b=4), "reuse": True})
    assert (again["task_id"], again["state"], again["reused"]) == (first["task_id"], "FINISHED", True)
    assert again["message"] == f"The result of task {first['task_id']} is reused; no task was created"
    assert len(served.client.get("/task/list?state=all").json()["completed_tasks"]) == 1


def test_a_task_that_is_not_reused_has_the_reason_among_its_events(served: ServerEnvironment) -> None:
    served.wait(served.post(served.bundle(a=3, b=4))["task_id"])
    made = served.post({**served.bundle(a=3, b=5), "reuse": True})
    assert made["not_reused"] == ["inputs.b 4 -> 5"]
    other = made["task_id"]
    served.wait(other)
    notes = [
        event.message for event in served.env.app.store.open(other).read_events() if event.kind == "note"
    ]
    assert notes[0].startswith("not reused: inputs.b 4 -> 5 (since task ")


def test_a_list_of_tasks_says_which_ones_are_reused(served: ServerEnvironment) -> None:
    first = served.post(served.bundle(a=3, b=4))["task_id"]
    served.wait(first)
    tasks = [{**served.bundle(a=3, b=b), "reuse": True} for b in (4, 5)]
    found = served.client.post("/task", json={"task": tasks, "assigned_by": "me"}).json()["created_tasks"]
    assert [task.get("reused") for task in found] == [True, None]
    assert found[0]["task_id"] == first


def test_a_task_with_an_id_of_the_client_always_runs(served: ServerEnvironment) -> None:
    task = {**served.bundle(a=3, b=4), "reuse": True}
    found = served.client.put("/task/my-task", json={"task": task, "assigned_by": "me"})
    assert found.status_code == 422
    assert "always runs" in found.text


def test_an_invalid_choice_is_refused(served: ServerEnvironment) -> None:
    task = {**served.bundle(a=3, b=4), "reuse": "maybe"}
    found = served.client.post("/task", json={"task": task, "assigned_by": "me"})
    assert (found.status_code, "expected true, false or 'all'" in found.text) == (422, True)
