"""The models of tasks in the OpenAPI document describe what clients send and get."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from localrun.server import schemas
from localrun.server.application import openapi_document
from localrun.server.task_models import TaskDetails, TaskEntry
from tests.support.server_client import ServerEnvironment, add, serve_environment


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document()


@pytest.fixture
def described(document: dict[str, Any]) -> dict[str, Any]:
    """The schemas of the models, by name."""
    found: dict[str, Any] = document["components"]["schemas"]
    return found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


def unknown_keys(model: type[BaseModel], found: dict[str, Any]) -> set[str]:
    model.model_validate(found)
    return found.keys() - model.model_fields.keys()


def test_every_key_of_a_response_is_described(served: ServerEnvironment) -> None:
    task_id = served.run(a=3, b=4)
    served.wait(task_id)
    answer = served.client.get(f"/task/{task_id}/wait").json()
    assert unknown_keys(schemas.WaitResponse, answer) == set()
    assert unknown_keys(TaskDetails, answer["task"]) == set()
    listed = served.client.get("/task/list?state=all&limit=1").json()
    assert unknown_keys(schemas.TaskList, listed) == set()
    assert unknown_keys(TaskEntry, listed["completed_tasks"][0]) == set()


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("BundleTask", {"bundle": "b", "inputs": {"a": 1}, "build_args": {"X": "1"}, "metadata": {"s": [1]}}),
        ("BundleTask", {"bundle": "b", "inputs": "folder", "resources": {"cpus": 0.5, "memory": "2Gi"}}),
        ("ImageTask", {"image": "i", "command": ["x"], "env": {"A": "b"}, "outputs": {"n": "integer"}}),
        (
            "IexecTask",
            {"profile": "iexec", "image": "i", "args": "x", "secrets": {"1": "s"}},
        ),
        ("ManualTask", {"anything": {"goes": 1}}),
    ],
)
def test_a_task_is_described_by_its_kind(described: dict[str, Any], kind: str, task: dict[str, Any]) -> None:
    choices = described["Submission"]["properties"]["task"]["anyOf"]
    assert {"$ref": f"#/components/schemas/{kind}"} in choices
    schema = {"$ref": f"#/components/schemas/{kind}", "components": {"schemas": described}}
    jsonschema.validate(task, schema)


def test_the_keys_of_a_described_task_are_those_that_the_server_accepts(
    served: ServerEnvironment, described: dict[str, Any]
) -> None:
    keys = described["BundleTask"]["properties"].keys()
    task = {"bundle": "nothing", **dict.fromkeys(keys - {"bundle"}), "unknown": 1}
    answer = served.client.post("/task", json={"task": task, "assigned_by": "x"})
    unknown = [item["loc"][-1] for item in answer.json()["detail"] if "unknown field" in item["msg"]]
    assert unknown == ["unknown"]


def test_operations_have_short_unique_names(document: dict[str, Any]) -> None:
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))
    assert {"create_task", "get_task", "wait_for_task", "list_tasks"} <= set(ids)
