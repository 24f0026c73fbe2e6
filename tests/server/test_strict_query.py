from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from unittest.mock import Mock

import pytest
from fastapi import Query
from fastapi.dependencies.utils import get_dependant, solve_dependencies

from localrun.server.schemas import TaskFilter
from localrun.server.strict_query import query_defaults
from tests.support.server_client import ServerEnvironment, serve_environment


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path) as env:
        yield env


@pytest.mark.parametrize(
    ("request_line", "name", "remedy"),
    [
        ("GET /task/list?asigned_by=ray", "asigned_by", "did you mean 'assigned_by'?"),
        ("GET /task/list?stat=all", "stat", "did you mean 'state'?"),
        ("GET /task/list?q=1", "q", "expected one of: after, assigned_by, limit, metadata, state"),
        ("GET /task/status?verbose=1", "verbose", "this path has none"),
        ("POST /task?wait=true", "wait", "this path has none"),
        ("PUT /task/my-id?x", "x", "this path has none"),
        ("GET /task/ID?x=1", "x", "this path has none"),
        ("GET /task/ID/logs?folow=true", "folow", "did you mean 'follow'?"),
        ("GET /task/ID/wait?time=3", "time", "did you mean 'timeout'?"),
        ("POST /task/ID/kill?graze=1", "graze", "did you mean 'grace'?"),
        ("GET /task/ID/outputs?x=1", "x", "this path has none"),
        ("PUT /task/ID/inputs/a?x=1", "x", "this path has none"),
        ("POST /bundle?replce=true", "replce", "did you mean 'replace'?"),
        ("GET /heartbeat?x=1", "x", "this path has none"),
    ],
)
def test_an_unknown_query_parameter_is_422_with_a_suggestion(
    served: ServerEnvironment, request_line: str, name: str, remedy: str
) -> None:
    task_id = served.post({})["task_id"]
    method, _, path = request_line.replace("ID", task_id).partition(" ")
    body = {"task": {}, "assigned_by": "ray"} if method != "GET" else None
    answer = served.client.request(method, path, json=body)
    assert answer.status_code == 422
    (found,) = answer.json()["detail"]
    assert found["loc"] == ["query", name]
    assert found["msg"] == f"unknown query parameter {name!r}; {remedy}"
    assert served.client.get("/task/list").json()["active_tasks_count"] == 1


def test_the_arguments_of_a_request_without_a_query_are_the_defaults() -> None:
    async def listed(selection: Annotated[TaskFilter, Query()], page: int = 1) -> None: ...

    async def searched(text: str, page: int = 1) -> None: ...

    found = query_defaults(get_dependant(path="/", call=listed))
    assert found == {"selection": TaskFilter.model_validate({}), "page": 1}
    assert query_defaults(get_dependant(path="/", call=searched)) is None


def test_a_request_without_a_query_is_not_validated_by_fastapi(
    served: ServerEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve = Mock(wraps=solve_dependencies)
    monkeypatch.setattr("fastapi.routing.solve_dependencies", solve)
    assert served.client.get("/task/list").json()["status"] == "success"
    assert solve.call_count == 0
    assert served.client.get("/task/list?limit=0").status_code == 422
    assert solve.call_count == 1


def test_a_parameter_that_is_set_twice_is_422(served: ServerEnvironment) -> None:
    answer = served.client.get("/task/list?limit=1&limit=2")
    assert answer.status_code == 422
    assert "'limit' is set 2 times" in answer.json()["detail"][0]["msg"]


def test_known_parameters_and_free_form_tasks_are_accepted(served: ServerEnvironment) -> None:
    assert served.post({"asigned_by": 1, "anything": 2})["status"] == "task_created"
    query = "state=all&assigned_by=ray&limit=5"
    assert served.client.get(f"/task/list?{query}").json()["active_tasks_count"] == 1
    assert served.client.get("/docs?theme=dark").status_code == 200


def test_of_thousands_of_unknown_parameters_the_first_are_listed(served: ServerEnvironment) -> None:
    query = "&".join(f"x{number}=1" for number in range(3000))
    found = served.client.get(f"/task/list?{query}").json()["detail"]
    assert len(found) == 21
    assert found[-1]["msg"] == "2980 more query parameters like these"
