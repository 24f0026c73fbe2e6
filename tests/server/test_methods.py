from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.server_client import ServerEnvironment, add, live, serve_environment


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


@pytest.mark.parametrize(
    "path", ["/task/list", "/task/status", "/heartbeat", "/bundle", "/docs", "/openapi.json"]
)
def test_head_is_get_without_the_body(served: ServerEnvironment, path: str) -> None:
    got, head = served.client.get(path), served.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


def test_head_of_a_task_and_its_output_has_the_headers_of_get(served: ServerEnvironment) -> None:
    task_id = served.run(a=3, b=4)
    served.wait(task_id)
    for path in (f"/task/{task_id}", f"/task/{task_id}/outputs", f"/task/{task_id}/outputs/sum"):
        got, head = served.client.get(path), served.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == got.headers["content-length"]
    assert served.client.head("/task/nope").status_code == 404


def test_head_of_an_endless_stream_ends(served: ServerEnvironment) -> None:
    task_id = served.post({})["task_id"]
    with live(served.site) as address:
        for path in ("events", "logs?follow=true"):
            answer = requests.head(f"{address}/task/{task_id}/{path}", timeout=20)
            assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/task", "OPTIONS, POST"),
        ("/task/list", "GET, HEAD, OPTIONS"),
        ("/task/some-id", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/task/some-id/kill", "OPTIONS, POST"),
        ("/task/some-id/outputs/a", "GET, HEAD, OPTIONS"),
        ("/bundle", "GET, HEAD, OPTIONS, POST"),
        ("/docs", "GET, HEAD, OPTIONS"),
    ],
)
def test_the_allowed_methods_are_those_of_all_routes(
    served: ServerEnvironment, path: str, allowed: str
) -> None:
    answer = served.client.options(path)
    assert (answer.status_code, answer.headers["allow"]) == (204, allowed)
    method = "PATCH" if "DELETE" in allowed else "DELETE"
    refused = served.client.request(method, path)
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert refused.json()["detail"] == f"Method {method} is not allowed for {path}"
    assert refused.json()["hint"] == f"use one of: {allowed}"


def test_options_of_an_unknown_path_is_404(served: ServerEnvironment) -> None:
    assert served.client.options("/nope").status_code == 404
