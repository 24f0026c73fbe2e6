from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from localrun.server.page.assets import PAGE_HEADERS
from tests.support.server_client import ServerEnvironment, live, serve_environment

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def env(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path) as env:
        yield env


def test_the_document_lists_every_route_and_what_each_takes(env: ServerEnvironment) -> None:
    found = env.client.get("/openapi.json").json()
    assert set(found["paths"]) == {
        "/heartbeat",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/events",
        "/journal",
        "/tasks",
        "/task",
        "/task/list",
        "/task/status",
        "/task/{task_id}",
        "/task/{task_id}/complete",
        "/task/{task_id}/rerun",
        "/task/{task_id}/usage",
        "/task/{task_id}/view",
        "/task/{task_id}/kill",
        "/task/{task_id}/wait",
        "/task/{task_id}/logs",
        "/task/{task_id}/events",
        "/task/{task_id}/inputs/{name}",
        "/task/{task_id}/inputs/{name}/{index}",
        "/task/{task_id}/outputs",
        "/task/{task_id}/outputs/{name}",
        "/task/{task_id}/images",
        "/task/{task_id}/geometries",
        "/task/{task_id}/report",
        "/task/{task_id}/{section}/{name}/image",
        "/task/{task_id}/{section}/{name}/preview",
        "/task/{task_id}/{section}/{name}/tile",
        "/batch",
        "/batch/{batch_id}",
        "/batch/{batch_id}/cancel",
        "/batch/{batch_id}/results",
        "/batch/{batch_id}/resume",
        "/batch/{batch_id}/rows",
        "/batch/{batch_id}/wait",
        "/bundle",
        "/bundle/{reference}",
        "/bundle/{reference}/check",
        "/queue",
        "/session",
        "/session/codes",
        "/session/tickets",
        "/diff",
    }
    for methods in found["paths"].values():
        for method, operation in methods.items():
            assert operation["description"], operation
            assert (
                ("requestBody" in operation)
                or method == "get"
                or operation["operationId"].startswith(("kill", "cancel", "delete", "post_code"))
            )


def test_every_reference_in_the_document_leads_somewhere(env: ServerEnvironment) -> None:
    text = env.client.get("/openapi.json").text
    known = env.client.get("/openapi.json").json()["components"]["schemas"]
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert wanted <= set(known)
    assert "$defs" not in text


def test_the_page_loads_nothing_from_elsewhere(env: ServerEnvironment) -> None:
    answer = env.client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", answer.text) == []
    assert "innerHTML" not in answer.text
    assert env.client.get("/", follow_redirects=False).headers["location"] == "/docs"


@pytest.fixture
def operations(env: ServerEnvironment) -> Iterator[list[APIOperation[Any, Any, Any, Any]]]:
    with live(env.site) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        yield [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def test_whatever_is_sent_is_answered_as_the_document_says(
    env: ServerEnvironment, operations: list[APIOperation[Any, Any, Any, Any]]
) -> None:
    env.site.app.manager.create_task({}, "ray", task_id="known")
    statuses = []
    for operation in operations:
        if operation.path == "/events":  # it does not end; tests/server/feed reads it
            continue
        if operation.path.endswith("/events"):  # the stream ends with its task
            for task in env.site.app.manager.get_all_active_tasks():
                env.client.post(f"/task/{task.id}/kill")
        statuses += ask(operation)
    assert len(operations) == 52
    assert {200, 404, 422} <= set(statuses)


def ask(operation: APIOperation[Any, Any, Any, Any]) -> list[int]:
    """Send any valid requests and return the statuses of the responses."""
    asked: list[int] = []

    @settings(
        max_examples=3,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        if "timeout" in (case.query or {}):
            case.query["timeout"] = 0
        if "follow" in (case.query or {}):
            case.query["follow"] = False
        if "task_id" in (case.path_parameters or {}) and len(asked) % 2:
            case.path_parameters["task_id"] = "known"
        asked.append(case.call_and_validate(checks=CHECKS).status_code)

    one()
    return asked


@pytest.mark.parametrize("name", ["docs.js", "docs.css", "nodes.js", "request.js", "schema.js"])
def test_the_documentation_page_has_its_own_files_and_the_policy_of_the_web_page(
    env: ServerEnvironment, name: str
) -> None:
    page, file = env.client.get("/docs"), env.client.get(f"/docs/{name}")
    assert file.status_code == 200
    assert file.headers["content-type"].startswith("text/css" if name.endswith(".css") else "text/javascript")
    policy = page.headers["content-security-policy"]
    assert policy == file.headers["content-security-policy"] == PAGE_HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert env.client.get("/docs/missing.js").status_code == 404
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?://", page.text)
