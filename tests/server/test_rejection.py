from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server_client import ServerEnvironment, serve_environment

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
BODY = {"task": {}, "assigned_by": "ray"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path) as env:
        yield env


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/task/list"),
        ("GET", "/heartbeat"),
        ("GET", "/task/nope"),
        ("GET", "/task/list?limit=x"),
        ("GET", "/task/nope/outputs/mask"),
        ("HEAD", "/bundle"),
        ("POST", "/task"),
        ("DELETE", "/task/list"),
    ],
)
@pytest.mark.parametrize("token", [None, "secret-token"])
def test_a_json_route_answers_a_browser_with_json(
    tmp_path: Path, method: str, path: str, token: str | None
) -> None:
    with serve_environment(tmp_path, token=token) as env:
        answer = env.client.request(method, path, headers=BROWSER)
        assert answer.headers["content-type"] == "application/json"
        if token:
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert method == "HEAD" or "Authorization: Bearer" in answer.json()["hint"]


def test_a_browser_with_a_wrong_host_gets_a_page_that_says_so(served: ServerEnvironment) -> None:
    page = served.client.get("/ui/", headers={**BROWSER, "host": "evil.com"})
    assert page.status_code == 421
    assert page.headers["content-type"].startswith("text/html")
    assert "localrun serve --name evil.com" in page.text


def test_a_page_shows_the_path_as_text(served: ServerEnvironment) -> None:
    page = served.client.get("/<script>alert(1)</script>", headers=BROWSER)
    assert page.status_code == 404
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_browser_is_led_to_the_page_and_has_no_icon(served: ServerEnvironment) -> None:
    answer = served.client.get("/", headers=BROWSER, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/ui/")
    folder = served.client.get("/ui", follow_redirects=False)
    assert (folder.status_code, folder.headers["location"]) == (308, "/ui/")
    assert served.client.get("/favicon.ico").status_code == 204
    assert served.lines("request_rejected") == []


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, application/json", ""])
def test_other_clients_are_led_to_the_documentation(served: ServerEnvironment, accept: str) -> None:
    for method in ("GET", "HEAD"):
        answer = served.client.request(method, "/", headers={"accept": accept}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/taks/list", "did you mean '/task/list'?"),
        ("/heartbeta", "did you mean '/heartbeat'?"),
        ("/x", "/docs"),
    ],
)
def test_an_unknown_path_has_a_hint(served: ServerEnvironment, path: str, hint: str) -> None:
    answer = served.client.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, f"Unknown path {path}")
    assert hint in answer.json()["hint"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "GZIP", "x, gzip"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/task"), ("POST", "/bundle"), ("PUT", "/task/x/inputs/a")]
)
def test_a_compressed_body_is_415_with_its_encoding(
    served: ServerEnvironment, encoding: str, method: str, path: str
) -> None:
    headers = {"content-encoding": encoding}
    body = gzip.compress(json.dumps(BODY).encode())
    answer = served.client.request(method, path, content=body, headers=headers)
    assert answer.status_code == 415
    assert repr(encoding) in answer.json()["detail"]
    assert "without compression" in answer.json()["hint"]


def test_a_compressed_body_without_its_header_is_415_as_well(served: ServerEnvironment) -> None:
    answer = served.client.post("/task", content=gzip.compress(json.dumps(BODY).encode()))
    assert (answer.status_code, answer.json()["detail"]) == (415, "The body is gzip data, not JSON")


def test_a_repeated_content_encoding_is_415(served: ServerEnvironment) -> None:
    headers = [("content-encoding", "identity"), ("content-encoding", "gzip")]
    answer = served.client.post("/task", content=json.dumps(BODY), headers=headers)
    assert answer.status_code == 415


def test_an_identity_encoding_is_accepted(served: ServerEnvironment) -> None:
    assert served.client.post("/task", json=BODY, headers={"content-encoding": "identity"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "loc", "words"),
    [
        (b'{"a": 1%s}' % (b"0" * 400), ["body", "a"], "integer out of range"),
        (b'{"task": {"a": [1, -1%s]}}' % (b"0" * 19), ["body", "task", "a", 1], "integer out of range"),
        (b'{"a": 1%s}' % (b"0" * 10_000), ["body", 0], "out of range"),
        (b'{"a": 1e999}', ["body", 0], "out of range"),
        (b'{"task": {}, "task": {}}', ["body", "task"], "duplicate key 'task'"),
        (b'{"task": {"x": 1, "x": 2}}', ["body", "x"], "duplicate key 'x'"),
        (b'{"task": {"x": {"y": 1}, "x": 2}}', ["body", "x"], "duplicate key 'x'"),
        (b'{"task": {"a": "\\ud800"}}', ["body", 0], "surrogate"),
        (b'{"\\udfff": 1}', ["body", 0], "surrogate"),
        (b'{"task": %s%s}' % (b"[" * 200, b"]" * 200), ["body", "task", 0, 0], "nested too deeply"),
        (b'{"task": %s1%s}' % (b'{"a":' * 300, b"}" * 300), ["body", "task", "a", "a"], "nested too deeply"),
        (b"[" * 900 + b"]" * 900, ["body", 0, 0, 0], "nested too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, ["body", 0], "nested too deeply"),
    ],
)
@pytest.mark.parametrize("path", ["POST /task", "PUT /task/my-id", "POST /heartbeat"])
def test_json_that_cannot_be_kept_is_422(
    served: ServerEnvironment, path: str, body: bytes, loc: list[Any], words: str
) -> None:
    method, _, place = path.partition(" ")
    answer = served.client.request(method, place, content=body)
    assert answer.status_code == 422
    found = answer.json()["detail"][0]
    assert found["loc"] == loc
    assert words in found["msg"] + found["ctx"]["error"]


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**64 - 1, 0, "\0", "é", {"a": [{"a": [1]}]}])
def test_json_that_can_be_kept_is_accepted(served: ServerEnvironment, value: Any) -> None:
    task_id = served.post({"a": value})["task_id"]
    assert served.client.get(f"/task/{task_id}").json()["task"]["task"] == {"a": value}


@pytest.mark.parametrize("digits", [20, 400, 10_000])
@pytest.mark.parametrize(
    "query", ["/task/list?limit=", "/task/x/wait?timeout=", "/task/x/kill?grace=", "/bundle?replace="]
)
def test_a_number_of_many_digits_in_a_query_is_422(
    served: ServerEnvironment, query: str, digits: int
) -> None:
    method = "POST" if "kill" in query or "replace" in query else "GET"
    assert served.client.request(method, query + "9" * digits).status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/task/%00", "/task/%ED%A0%80", "/task/..%2f..", "/task/x/outputs/%00", "/task/x/outputs/../../a",
        "/task/" + "a" * 300, "/task/list?after=%00", "/task/list?assigned_by=%ED%A0%80", "/%00",
    ],
)  # fmt: skip
def test_no_path_or_query_is_an_internal_error(served: ServerEnvironment, path: str) -> None:
    for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"):
        assert served.client.request(method, path).status_code < 500


def test_a_header_of_many_digits_is_not_an_internal_error(served: ServerEnvironment) -> None:
    task_id = served.post({})["task_id"]
    served.client.post(f"/task/{task_id}/complete")
    for digits in (20, 400, 10_000):
        answer = served.client.get(f"/task/{task_id}/events", headers={"last-event-id": "9" * digits})
        assert answer.status_code in (200, 422)
        ranged = served.client.get("/task/list", headers={"range": f"bytes={'9' * digits}-"})
        assert ranged.status_code == 200
