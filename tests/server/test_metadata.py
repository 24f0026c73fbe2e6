"""Metadata of tasks over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server_client import ServerEnvironment, add, serve_environment

NOTES: dict[str, Any] = {"sample": "A1", "run": 3, "tags": ["x", {"deep": None}]}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


def create(served: ServerEnvironment, metadata: Any) -> str:
    task = {**served.bundle(a=3, b=4), "metadata": metadata}
    return str(served.post(task)["task_id"])


def test_metadata_is_part_of_a_task_and_of_lists(served: ServerEnvironment) -> None:
    task_id = create(served, NOTES)
    assert served.wait(task_id)["metadata"] == NOTES
    assert served.client.get(f"/task/{task_id}").json()["task"]["metadata"] == NOTES
    assert served.client.get("/task/list?state=all").json()["active_tasks"] == []
    listed = served.client.get("/task/list?state=all").json()["completed_tasks"]
    assert [task["metadata"] for task in listed] == [NOTES]
    assert served.client.get("/tasks").json()["tasks"][0]["metadata"] == NOTES


@pytest.mark.parametrize(
    ("condition", "count"), [("sample=A1", 1), ("run=3", 1), ("sample", 1), ("sample=a1", 0), ("batch", 0)]
)
def test_tasks_are_listed_by_metadata(served: ServerEnvironment, condition: str, count: int) -> None:
    served.wait(create(served, NOTES))
    served.wait(create(served, {"sample": "A2", "run": 4} if condition != "sample" else {}))
    found = served.client.get("/task/list", params={"state": "ended", "metadata": condition}).json()
    assert len(found["completed_tasks"]) == count


@pytest.mark.parametrize(("query", "count"), [("sample=a1", 1), ("run=3", 1), ("run", 2), ("x=1", 0)])
def test_tasks_are_searched_by_metadata(served: ServerEnvironment, query: str, count: int) -> None:
    served.wait(create(served, NOTES))
    served.wait(create(served, {"run": 4}))
    assert served.client.get("/tasks", params={"q": f"metadata:{query}"}).json()["matching"] == count


def test_metadata_of_a_manual_task_is_its_own_field(served: ServerEnvironment) -> None:
    task_id = served.post({"type": "review", "metadata": {"sample": "A1"}})["task_id"]
    other = served.post({"type": "review", "metadata": "any text"})["task_id"]
    assert served.client.get(f"/task/{task_id}").json()["task"]["metadata"] == {"sample": "A1"}
    assert served.client.get(f"/task/{other}").json()["task"]["metadata"] == {}
    found = served.client.get("/task/list?metadata=sample=A1").json()["active_tasks"]
    assert [task["task_id"] for task in found] == [task_id]


@pytest.mark.parametrize("metadata", ["text", ["a"], {"": 1}])
def test_invalid_metadata_is_422_and_creates_nothing(served: ServerEnvironment, metadata: Any) -> None:
    task = {**served.bundle(a=3, b=4), "metadata": metadata}
    answer = served.client.post("/task", json={"task": task, "assigned_by": "ray"})
    assert answer.status_code == 422
    assert "metadata" in answer.text
    assert served.client.get("/tasks").json()["total"] == 0


def test_a_rerun_keeps_metadata_and_changes_single_values(served: ServerEnvironment) -> None:
    task_id = create(served, NOTES)
    served.wait(task_id)
    again = served.client.post(f"/task/{task_id}/rerun", json={"metadata": {"run": 4}}).json()["task_id"]
    assert served.wait(again)["metadata"] == {**NOTES, "run": 4}


def test_a_task_that_is_submitted_again_keeps_metadata(served: ServerEnvironment) -> None:
    record = served.env.run(values={"a": 1, "b": 2}, metadata={"sample": "it's"})
    view = served.client.get(f"/task/{record.id}/view").json()
    assert view["submission"]["metadata"] == {"sample": "it's"}
    assert """--metadata 'sample=it'"'"'s'""" in view["commands"]["run"]
