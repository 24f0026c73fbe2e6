from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.server_client import ServerEnvironment, add, serve_environment

MORE = """inputs:
  n: {type: {id: integer, geq: 0, lt: 10}, description: A number, display_name: N, default: 7}
  s: {type: {id: string, max_length: 3}, description: s, display_name: S}
  e: {type: {id: enumeration, values: [red, blue]}, description: e, display_name: E, optional: true}
  f: {type: file, description: f, display_name: F}
  many: {type: {id: array, subtype: image, max_size: 2}, description: m, display_name: M, optional: true}
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


@pytest.fixture
def rich(served: ServerEnvironment) -> ServerEnvironment:
    """A server whose bundle has inputs of many types."""
    text = served.env.bundle.read_text()
    served.env.bundle.write_text(text[: text.index("inputs:\n")] + MORE + text[text.index("outputs:\n") :])
    return served


def check(served: ServerEnvironment, **body: Any) -> dict[str, Any]:
    image = {"image": served.env.image}
    answer = served.client.post("/bundle/descriptor.yml/check", json={**image, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_bundle_is_described_with_its_types_and_schema(rich: ServerEnvironment) -> None:
    found = rich.client.get("/bundle/descriptor.yml").json()
    by_name = {one["name"]: one for one in found["inputs"]}
    assert list(by_name) == ["n", "s", "e", "f", "many"]
    assert (by_name["n"]["default"], by_name["n"]["has_default"], by_name["n"]["kind"]) == (7, True, "scalar")
    assert by_name["many"]["type"] == {"id": "array", "subtype": {"id": "image"}, "max_size": 2}
    assert [one["name"] for one in found["outputs"]] == ["sum"]
    assert found["resources"]["memory"] == 64 * 1024**2
    schema = found["schema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"s": "abc", "f": "@x", "e": "red", "many": ["@a"]})
    for wrong in (
        {"s": "abcd", "f": "@x"},
        {"f": "@x"},
        {"s": "a", "f": "@x", "n": 10},
        {"s": "a", "f": "@x", "z": 1},
    ):
        assert not validator.is_valid(wrong)


def test_bundles_are_found_by_name_and_by_path(served: ServerEnvironment) -> None:
    (entry,) = [one for one in served.client.get("/bundle").json()["bundles"] if one["inputs"]] or [None]
    if entry is not None:
        assert served.client.get(f"/bundle/{entry['reference']}").status_code == 200
        assert served.client.get(f"/bundle/{entry['name']}").status_code == 200
    for name in ("nope", "../x", "%2Fetc", ".localrun"):
        answer = served.client.get(f"/bundle/{name}")
        assert answer.status_code == 404


def test_every_problem_of_a_task_is_returned_at_its_input(rich: ServerEnvironment) -> None:
    found = check(
        rich,
        inputs={"n": 10, "s": 5, "e": "green", "zz": 1, "f": "@nope.bin"},
        resources={"cpus": -1},
        timeout="soon",
        replicas=2,
        agree=3,
    )
    assert found["valid"] is False
    by_path = {problem["path"]: problem for problem in found["problems"]}
    assert {"inputs.n", "inputs.s", "inputs.e", "inputs.zz", "inputs.f", "resources.cpus", "timeout"} <= set(
        by_path
    )
    assert (by_path["inputs.n"]["input"], by_path["inputs.n"]["index"]) == ("n", None)
    assert "not found" in by_path["inputs.f"]["message"]
    assert rich.client.get("/tasks").json()["total"] == 0  # nothing was stored


def test_missing_inputs_and_uploads_are_no_problems(rich: ServerEnvironment) -> None:
    assert check(rich)["missing"] == ["s", "f"]
    found = check(rich, inputs={"s": "abc"}, uploads=["f", "many/0", "many/1"])
    assert (found["valid"], found["problems"], found["missing"]) == (True, [], [])
    assert check(rich, uploads=["zz"])["problems"][0]["path"] == "inputs.zz"


def test_the_commands_and_the_submission_are_those_of_the_form(rich: ServerEnvironment) -> None:
    limits = {"resources": {"memory": "32Mi"}, "network": True}
    found = check(rich, inputs={"s": "abc"}, uploads=["f"], **limits)
    expected = ["-i s=abc -i f=@FILE", "--memory 32Mi --network", f"--image {rich.env.image}"]
    assert found["commands"]["run"] == " ".join(["localrun run descriptor.yml", *expected])
    assert "/task/$ID/inputs/f" in found["commands"]["curl"]
    image = {"image": rich.env.image}
    assert found["submission"] == {"bundle": "descriptor.yml", **image, "inputs": {"s": "abc"}, **limits}


def test_a_bundle_without_an_image_is_shown_with_its_problem(rich: ServerEnvironment) -> None:
    found = rich.client.get("/bundle/descriptor.yml").json()
    assert "image archive" in found["problems"][0]["message"]
    answer = rich.client.post("/bundle/descriptor.yml/check", json={"inputs": {"n": "x"}}).json()
    assert {problem["path"] for problem in answer["problems"]} >= {"inputs.n"}
    assert any("image archive" in problem["message"] for problem in answer["problems"])


def test_more_than_the_machine_has_is_a_problem(rich: ServerEnvironment) -> None:
    found = check(rich, inputs={"s": "a"}, uploads=["f"], resources={"memory": "900Ti"})
    assert [problem["path"] for problem in found["problems"]] == ["resources.memory"]


def test_a_number_of_replicas_that_cannot_agree_is_a_problem(rich: ServerEnvironment) -> None:
    found = check(rich, inputs={"s": "a"}, uploads=["f"], replicas=2, agree=3)
    assert [problem["path"] for problem in found["problems"]] == ["replicas"]


@pytest.mark.parametrize("body", [{"inputs": 3}, {"uploads": "f"}, [], {"uploads": [1]}])
def test_a_body_of_another_shape_is_422(served: ServerEnvironment, body: Any) -> None:
    assert served.client.post("/bundle/descriptor.yml/check", json=body).status_code == 422


def test_an_unknown_bundle_cannot_be_checked(served: ServerEnvironment) -> None:
    answer = served.client.post("/bundle/nope/check", json={})
    assert (answer.status_code, "hint" in answer.json()) == (404, True)
