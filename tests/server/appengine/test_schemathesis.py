"""Whatever the OpenAPI document allows is answered as it says, and a 500 is one that App Engine sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.app_engine_client import AppEngineEnvironment, serve_app_engine
from tests.support.environment import DESCRIPTOR
from tests.support.server_client import add, live

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
# the codes that App Engine sends with 500
SERVER_ERRORS = {
    "APPE-internal-server-error",
    "APPE-internal-bundle-validation-error",
    "APPE-internal-logo-not-found",
    "APPE-internal-not-multipart",
}
INPUTS = """\
  c: {type: {id: array, subtype: geometry}, optional: true, description: shapes, display_name: C}
  d: {type: image, optional: true, description: image, display_name: D}
  e: {type: {id: array, subtype: {id: array, subtype: file}}, optional: true, description: e, display_name: E}
  f: {type: datetime, optional: true, description: time, display_name: F}
outputs:
"""


@dataclass
class Site:
    """A server with a task, a run that has ended, one that waits, and the operations of the document."""

    env: AppEngineEnvironment
    address: str
    known: dict[str, list[str]]
    operations: list[APIOperation[Any, Any, Any, Any]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serve_app_engine(tmp_path, add) as env, live(env.server.site) as address:
        task = env.upload(DESCRIPTOR.replace("outputs:\n", INPUTS))
        runs = [env.create_run(task)["id"] for _ in range(3)]
        env.start_run(runs[0], a=1, b=2)
        record = env.service.get_record(env.service.get_run(runs[0]))
        env.service.manager.wait_for(record.id)
        env.get(f"task-runs/{runs[0]}").raise_for_status()
        schema = schemathesis.openapi.from_url(f"{address}/app-engine/v1/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
        known = {
            "run": runs,
            "id": [task["id"]],
            "namespace": [task["namespace"]],
            "version": [task["version"]],
            "name": ["a", "b", "c", "d", "e", "f", "sum", "sum.geojson", "A"],
        }
        yield Site(env, address, known, operations)


def ask(site: Site, operation: APIOperation[Any, Any, Any, Any], examples: int) -> Iterator[int]:
    """Send requests of an operation, most of them for things that exist. Yield the statuses."""
    statuses: list[int] = []
    is_deletion = operation.method.upper() == "DELETE"
    names = [name for name in site.known if f"{{{name}}}" in operation.path]
    choice = {name: st.none() | st.sampled_from(site.known[name]) for name in names}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), chosen=st.fixed_dictionaries(choice))
    def one(case: Any, chosen: dict[str, str | None]) -> None:
        if not is_deletion:  # other requests need what it would delete
            case.path_parameters.update({name: found for name, found in chosen.items() if found})
        # schemathesis does not read the `servers` of an operation
        response = case.call(base_url=site.address if operation.path == "/ping" else None)
        case.validate_response(response, checks=CHECKS)
        statuses.append(response.status_code)
        if response.status_code >= 500:
            assert response.status_code == 500
            assert response.json()["errorCode"] in SERVER_ERRORS, response.text

    one()
    yield from statuses


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("examples", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_any_request_is_answered_as_the_document_says(site: Site, examples: int) -> None:
    statuses = set()
    for operation in site.operations:
        statuses |= set(ask(site, operation, examples))
    assert {200, 400, 404, 500} <= statuses
    # an unexpected exception is a 500 as well, and is journaled as an error
    errors = [line["data"]["detail"] for line in site.env.server.lines("task_error")]
    assert errors == []
