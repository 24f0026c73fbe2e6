"""Inputs over HTTP that are outputs of other tasks, and URLs, which are refused."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from localrun.engines.fake import FakeContainer
from tests.support.server_client import add, serve_environment


def test_a_task_waits_for_the_output_of_another_one(tmp_path: Path) -> None:
    opened = threading.Event()

    def program(container: FakeContainer) -> int:
        opened.wait(60)
        return add(container)

    with serve_environment(tmp_path, program) as env:
        first = env.run(a=3, b=4)
        second = env.run(a={"task": first, "output": "sum"}, b=1)
        waiting = env.client.get(f"/task/{second}").json()["task"]
        says = f"waiting for output 'sum' of task {first[:8]}"
        assert (waiting["state"], waiting["message"]) == ("QUEUING", says)
        assert waiting["sources"] == {"a": {"task": first, "output": "sum"}}
        view = env.client.get(f"/task/{second}/view").json()
        (shown,) = [one for one in view["inputs"] if one["name"] == "a"]
        assert (shown["missing"], shown["sources"][0]["text"]) == (True, f"from task {first[:8]}/sum")
        assert view["headline"]["message"] == says
        assert env.client.get("/heartbeat").json()["waiting"] == 1
        opened.set()
        assert env.wait(second)["outputs"] == {"sum": 8}
        assert env.client.delete(f"/task/{first}").status_code == 200


def test_a_task_that_another_one_needs_cannot_be_deleted(tmp_path: Path) -> None:
    opened = threading.Event()

    def program(container: FakeContainer) -> int:
        if container.path("/inputs/b").read_text() == "0":
            opened.wait(60)
        return add(container)

    with serve_environment(tmp_path, program) as env:
        first, blocked = env.run(a=3, b=4), env.run(a=1, b=0)
        env.wait(first)
        second = env.run(a={"task": first, "output": "sum"}, b={"task": blocked, "output": "sum"})
        answer = env.client.delete(f"/task/{first}")
        assert (answer.status_code, second[:8] in answer.text) == (409, True)
        opened.set()
        assert env.wait(second)["outputs"] == {"sum": 8}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "none", "output": "sum"}, "no task 'none'"),
        ({"task": "", "output": "sum"}, "missing the id of a task"),
        ("file:///etc/passwd", "expected an integer"),
        ("@https://example.com/a", "expected an integer"),
    ],
)
def test_what_cannot_be_an_input_is_refused_with_its_place(
    tmp_path: Path, given: object, message: str
) -> None:
    with serve_environment(tmp_path, add) as env:
        answer = env.client.post("/task", json={"task": env.bundle(a=given, b=1), "assigned_by": "me"})
        assert answer.status_code == 422
        (detail,) = answer.json()["detail"]
        assert detail["loc"] == ["body", "task", "inputs", "a"]
        assert message in detail["msg"]
        assert env.env.app.tasks() == []
