"""Where the API is, and what all of its answers have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from localrun.server.appengine.documentation import OPERATIONS
from tests.support.app_engine_client import AppEngineEnvironment, assert_deviates, serve_app_engine

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-cache, no-store, max-age=0, must-revalidate",
    "pragma": "no-cache",
    "expires": "0",
}


@pytest.fixture
def env(tmp_path: Path) -> Iterator[AppEngineEnvironment]:
    with serve_app_engine(tmp_path) as env:
        yield env


@pytest.mark.parametrize(
    "path",
    [
        "/app-engine/v1/tasks",
        "/api/v1/tasks",
        "/app-engine/v1//tasks",
        "//app-engine//v1//tasks",
        "/app-engine/v1/tasks?unknown=1&unknown=2",
    ],
)
def test_the_api_is_below_both_prefixes(env: AppEngineEnvironment, path: str) -> None:
    response = env.client.request("GET", f"http://localhost:8000{path}", headers={"X-Unknown": "1"})
    assert (response.status_code, response.json()) == (200, [])
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("path", ["/v1/tasks", "/app-engine/tasks", "/app-engine/v2/tasks", "/app-enginev1/"])
def test_other_paths_are_those_of_localrun(env: AppEngineEnvironment, path: str) -> None:
    response = env.client.get(path)
    assert (response.status_code, set(response.json())) == (404, {"detail", "hint"})


def test_prefixes_can_be_chosen(tmp_path: Path) -> None:
    with serve_app_engine(tmp_path, api_prefixes=("/here/", "/")) as env:
        assert env.client.get("/here/v1/tasks").json() == []
        assert env.client.get("/v1/tasks").json() == []
        assert env.client.get("/app-engine/v1/tasks").status_code == 404
        assert env.client.get("/heartbeat").json()["type"] == "heartbeat"


def test_the_health_is_without_a_prefix(env: AppEngineEnvironment) -> None:
    response = env.client.get("/ping", params={"unknown": 1})
    found = response.json()
    assert (response.status_code, found["status"], found["service"]) == (200, "UP", "app-engine")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", found["timestamp"])
    assert env.get("ping").status_code == 500
    assert env.client.post("/ping").status_code == 500


def test_head_answers_with_the_headers_of_get(env: AppEngineEnvironment) -> None:
    response = env.request("HEAD", "tasks")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["x-frame-options"] == "DENY"


def test_options_names_the_methods_of_an_address(env: AppEngineEnvironment) -> None:
    response = env.request("OPTIONS", "tasks")
    assert response.status_code == 204
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_page_of_this_server_gets_the_headers_that_allow_it(env: AppEngineEnvironment) -> None:
    response = env.get("tasks", headers={"Origin": "http://localhost:8000"})
    assert response.headers["access-control-allow-origin"] == "http://localhost:8000"
    assert response.headers["access-control-allow-credentials"] == "true"


def test_a_preflight_request_of_a_page_of_this_server_is_answered(env: AppEngineEnvironment) -> None:
    asked = {
        "Origin": "http://localhost:8000",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "X-One",
    }
    response = env.request("OPTIONS", "tasks", headers=asked)
    assert response.headers["access-control-allow-methods"] == "GET, POST, PUT, DELETE, OPTIONS, PATCH"
    assert response.headers["access-control-allow-headers"] == "X-One"


def test_a_page_of_another_site_is_refused(env: AppEngineEnvironment) -> None:
    headers = {"Origin": "http://evil.example", "Accept": "application/json"}
    response = env.get("tasks", headers=headers)
    assert response.status_code == 403
    assert set(response.json()) == {"errorCode", "message"}
    assert "not allowed" in response.json()["message"]
    assert "access-control-allow-origin" not in response.headers
    assert response.headers["x-frame-options"] == "DENY"
    assert_deviates(response, "origin")


def test_another_host_name_is_refused(env: AppEngineEnvironment) -> None:
    response = env.get("tasks", headers={"Host": "evil.example"})
    assert response.status_code == 421
    assert response.json()["errorCode"] == "APPE-internal-server-error"
    assert_deviates(response, "host")


def test_a_server_with_a_token_needs_it_but_for_its_health(tmp_path: Path) -> None:
    with serve_app_engine(tmp_path, token="secret") as env:
        response = env.get("tasks")
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["errorCode"] == "APPE-internal-server-error"
        assert_deviates(response, "token")
        assert env.get("tasks", headers={"Authorization": "Bearer secret"}).status_code == 200
        assert env.client.get("/ping").status_code == 200
        for path in ("//app-engine/v1/tasks", "/app-engine/v1/ping", "/app-engine/v1/openapi.json"):
            assert env.client.get(f"http://localhost:8000{path}").status_code == 401


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_refused(tmp_path: Path, announced: bool) -> None:
    with serve_app_engine(tmp_path, upload_limit=1000) as env:
        data = b"x" * 2000
        content: Any = data if announced else iter([data])
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        response = env.request("POST", "tasks", content=content, headers=headers)
        assert response.status_code == 413
        assert response.json()["errorCode"] == "APPE-internal-server-error"
        assert_deviates(response, "too_large")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/plain;charset=UTF-8"),
        ("*/*", "text/plain;charset=UTF-8"),
        ("application/json", "application/json"),
        ("text/html, application/json;q=0.9", "application/json"),
    ],
)
def test_the_type_of_a_403_is_what_the_client_accepts(
    env: AppEngineEnvironment, accept: str | None, expected: str
) -> None:
    headers = {"Origin": "http://evil.example", "Accept": accept or ""}
    response = env.get("tasks", headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (403, expected)


def test_an_unexpected_failure_is_an_error_of_the_server_and_is_logged(
    env: AppEngineEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(env.service.tasks, "all", fail)
    response = env.get("tasks")
    assert response.status_code == 500
    found = response.json()
    assert (found["errorCode"], found["message"]) == ("APPE-internal-server-error", "Server error.")
    assert "broken" in found["details"]["exceptionMessage"]
    assert "RuntimeError" in env.server.lines("task_error")[-1]["data"]["traceback"]


def test_refusals_are_in_the_journal_with_their_whole_path(env: AppEngineEnvironment) -> None:
    env.get("tasks/x")
    line = env.server.lines("request_rejected")[-1]["data"]
    assert (line["status"], line["path"]) == (400, "/app-engine/v1/tasks/x")


@pytest.mark.parametrize("headers", [{}, {"Host": "evil.example"}])
def test_the_secret_of_a_run_is_not_in_the_journal(
    env: AppEngineEnvironment, headers: dict[str, str]
) -> None:
    env.request("POST", "/task-runs/1/secret/outputs.zip", headers=headers)
    line = env.server.lines("request_rejected")[-1]
    assert line["data"]["path"] == "/app-engine/v1//task-runs/1/***/outputs.zip"
    assert "secret" not in str(line)


def test_the_openapi_document_has_the_addresses_with_their_parameters(env: AppEngineEnvironment) -> None:
    document = env.get("openapi.json").json()
    assert [server["url"] for server in document["servers"]] == ["/app-engine", "/api"]
    operation = document["paths"]["/v1/tasks/{namespace}/{version}"]["get"]
    assert [one["name"] for one in operation["parameters"]] == ["namespace", "version"]
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


def test_each_address_is_documented_and_no_other_one(env: AppEngineEnvironment) -> None:
    document = env.get("openapi.json").json()
    found = {f"{method.upper()} {path}" for path in document["paths"] for method in document["paths"][path]}
    assert found == set(OPERATIONS)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert {"400", "404", "500"} <= set(operation["responses"]), (method, path)


def test_references_of_the_document_lead_somewhere(env: AppEngineEnvironment) -> None:
    text = env.get("openapi.json").text
    known = set(env.get("openapi.json").json()["components"]["schemas"])
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) == known


@pytest.mark.parametrize("path", ["tasks/x", "stores", "tasks"])
def test_answers_are_as_documented(env: AppEngineEnvironment, path: str) -> None:
    env.upload()
    document = env.get("openapi.json").json()
    template = "/v1/tasks/{id}" if path == "tasks/x" else f"/v1/{path}"
    response = env.get(path)
    answer = document["paths"][template]["get"]["responses"][str(response.status_code)]
    schema = answer["content"]["application/json"]["schema"]
    jsonschema.validate(response.json(), {**schema, "components": document["components"]})
