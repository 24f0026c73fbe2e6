"""Tasks that wait for inputs: each value is checked on arrival, and shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server_client import ServerEnvironment, add, serve_environment


@pytest.fixture
def env(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


def shown(env: ServerEnvironment, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = env.client.get(f"/task/{task_id}").json()["task"]
    return found


def test_a_bad_value_is_422_at_once_and_the_good_ones_are_kept(env: ServerEnvironment) -> None:
    task_id = env.run()
    bad = env.client.put(f"/task/{task_id}/inputs/a", content=b"three")
    assert bad.status_code == 422
    (found,) = bad.json()["detail"]
    assert found["loc"] == ["body", "task", "inputs", "a"]
    assert found["msg"].startswith("invalid integer 'three'; ")
    assert env.client.put(f"/task/{task_id}/inputs/b", content=b"4").status_code == 200
    assert env.client.put(f"/task/{task_id}/inputs/a", content=b"3").status_code == 200
    assert env.wait(task_id)["outputs"] == {"sum": 7}


@pytest.mark.parametrize(
    ("inputs", "loc", "words"),
    [
        ({"a": "three"}, ["inputs", "a"], "expected an integer"),
        ({"c": 3}, ["inputs", "c"], "unknown input 'c'; expected one of: a, b"),
        ({"A": 3, "b": 4}, ["inputs", "A"], "unknown input 'A'; did you mean 'a'?"),
    ],
)
def test_a_bad_value_or_name_creates_no_task(
    env: ServerEnvironment, inputs: Any, loc: list[str], words: str
) -> None:
    answer = env.client.post("/task", json={"task": env.bundle(**inputs), "assigned_by": "ray"})
    assert answer.status_code == 422
    (found,) = answer.json()["detail"]
    assert found["loc"] == ["body", "task", *loc]
    assert words in found["msg"]
    assert env.client.get("/task/list").json()["active_tasks"] == []


def test_all_problems_of_a_request_are_reported_although_inputs_are_missing(env: ServerEnvironment) -> None:
    task = env.bundle(a="x", bb=1, c=2)
    detail = env.client.post("/task", json={"task": task, "assigned_by": "ray"}).json()["detail"]
    assert sorted(item["loc"][-1] for item in detail) == ["a", "bb", "c"]


def test_an_unknown_name_is_rejected_before_its_body_is_read(env: ServerEnvironment) -> None:
    task_id = env.run(a=1)

    def body() -> Iterator[bytes]:
        yield b"1"
        yield b"2" * 1000

    answer = env.client.put(f"/task/{task_id}/inputs/bb", content=body())
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"] == "unknown input 'bb'; did you mean 'b'?"


def test_a_task_shows_what_it_waits_for_and_what_it_has(env: ServerEnvironment) -> None:
    task_id = env.run()
    found = shown(env, task_id)
    assert (found["message"], found["missing"]) == ("waiting for inputs: a, b", ["a", "b"])
    answer = env.client.put(f"/task/{task_id}/inputs/a", content=b"3").json()["task"]
    found = shown(env, task_id)
    assert answer["message"] == found["message"] == "waiting for inputs: b"
    assert found["received"] == found["inputs"] == {"a": 3}
    (listed,) = env.client.get("/task/list").json()["active_tasks"]
    assert listed["message"] == "waiting for inputs: b"
    (row,) = env.client.get("/tasks").json()["tasks"]
    view = env.client.get(f"/task/{task_id}/view").json()
    assert row["message"] == view["headline"]["message"] == "waiting for inputs: b"
    assert (view["actions"]["rerun"], view["actions"]["rerun_problem"]) == (False, "it waits for inputs")
    env.client.put(f"/task/{task_id}/inputs/b", content=b"4")
    found = env.wait(task_id)
    assert (found["missing"], found["received"], found["inputs"]) == ([], {}, {"a": 3, "b": 4})


def test_a_killed_task_waits_for_nothing(env: ServerEnvironment) -> None:
    task_id = env.run(a=3)
    env.client.post(f"/task/{task_id}/kill")
    assert "waiting" not in shown(env, task_id)["message"]


@pytest.mark.parametrize("path", ["outputs", "outputs/sum"])
def test_the_outputs_of_a_task_that_has_not_ended_are_409_with_its_state(
    env: ServerEnvironment, path: str
) -> None:
    waiting, manual = env.run(a=3), str(env.post({})["task_id"])
    answer = env.client.get(f"/task/{waiting}/{path}")
    assert (answer.status_code, answer.json()["state"]) == (409, "CREATED")
    assert answer.json()["detail"] == f"Task {waiting} has not ended (state CREATED)"
    assert "waiting for inputs: b" in answer.json()["hint"]
    answer = env.client.get(f"/task/{manual}/{path}")
    assert answer.status_code == 409
    assert "/complete" in answer.json()["hint"]
    assert env.client.get(f"/task/nope/{path}").status_code == 404


def test_the_outputs_of_an_ended_task_are_200(env: ServerEnvironment) -> None:
    task_id = env.run(a=3, b=4)
    env.wait(task_id)
    assert env.client.get(f"/task/{task_id}/outputs").json()["outputs"] == {"sum": 7}
    missing = env.client.get(f"/task/{task_id}/outputs/nope")
    assert (missing.status_code, missing.json()["hint"]) == (404, "its outputs are: sum")


def test_the_outputs_of_a_failed_task_come_with_the_reason(tmp_path: Path) -> None:
    with serve_environment(tmp_path, lambda _: 3) as env:
        task_id = env.run(a=3, b=4)
        env.wait(task_id)
        found = env.client.get(f"/task/{task_id}/outputs").json()
        assert (found["state"], found["cause"], found["outputs"]) == ("FAILED", "EXIT_NONZERO", {})
        assert found["message"]
        missing = env.client.get(f"/task/{task_id}/outputs/sum")
        assert missing.status_code == 404
        assert missing.json()["hint"].startswith("the task is FAILED: ")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\0", b"9" * 10_000, b"1" * 10**6, b""])
def test_the_error_of_an_upload_names_no_file_of_the_server(env: ServerEnvironment, content: bytes) -> None:
    task_id = env.run()
    answer = env.client.put(f"/task/{task_id}/inputs/a", content=content)
    assert answer.status_code == 422
    assert "localrun-tmp" not in answer.text
    assert str(env.folder) not in answer.text
