"""Inputs over HTTP: a folder, files in every form of an array, and regions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer
from tests.cli.test_inputs import INPUTS, OUTPUTS, program
from tests.support.descriptors import as_json
from tests.support.image_files import png
from tests.support.server_client import ServerEnvironment, serve_environment
from tests.values.test_crop import polygon
from tests.values.test_input_folder import fill

SQUARE = polygon(0, 0, 2, 2)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    """A server whose bundle takes images, with a folder `inputs` next to it."""
    with serve_environment(tmp_path, program) as env:
        env.env.bundle.write_text(json.dumps(as_json(INPUTS, OUTPUTS)))
        fill(
            tmp_path, {"inputs/image": png(), "inputs/size": "3", "inputs/image.geojson": json.dumps(SQUARE)}
        )
        yield env


def task(env: ServerEnvironment, inputs: Any) -> dict[str, Any]:
    return {"bundle": env.env.bundle.name, "image": env.env.image, "inputs": inputs}


def test_the_inputs_are_a_folder_below_the_bundle_folders(served: ServerEnvironment) -> None:
    found = served.wait(served.post(task(served, "inputs"))["task_id"])
    assert found["inputs"] == {"image": str(served.folder / "inputs/image"), "size": 3}
    assert found["regions"] == {"image": SQUARE}


def test_every_file_that_cannot_be_named_is_reported_with_its_input(served: ServerEnvironment) -> None:
    inputs = {"image": "@gone", "image.geojson": "@/etc/passwd", "size": 3}
    answer = served.client.post("/task", json={"task": task(served, inputs), "assigned_by": "ray"})
    assert answer.status_code == 422
    assert [one["loc"] for one in answer.json()["detail"]] == [
        ["body", "task", "inputs", "image"],
        ["body", "task", "inputs", "image", "geojson"],
    ]
    rows = [{"size": 1, "image": "@inputs/image"}, {"size": 1, "image": "https://example.org/x.png"}]
    answer = served.client.post("/batch", json={**task(served, {}), "rows": rows})
    (problem,) = answer.json()["detail"]
    assert (answer.status_code, problem["loc"]) == (422, ["body", "rows", 2, "image"])
    assert "is a URL, which the server does not read" in problem["msg"]


def test_a_task_with_a_folder_waits_for_the_missing_input(served: ServerEnvironment) -> None:
    # Given a folder without the image
    (served.folder / "inputs/image").unlink()
    (served.folder / "inputs/image.geojson").unlink()
    task_id = served.post(task(served, "inputs"))["task_id"]

    # When the image and its region are uploaded
    served.client.put(f"/task/{task_id}/inputs/image.geojson", content=json.dumps(SQUARE))
    served.client.put(f"/task/{task_id}/inputs/image", content=png())

    # Then the task runs with all of them
    found = served.wait(task_id)
    assert found["inputs"]["size"] == 3
    assert found["regions"] == {"image": SQUARE}


@pytest.mark.parametrize("name", ["/etc", "../..", "gone", "descriptor.yml", "linked"])
def test_another_folder_is_refused(served: ServerEnvironment, name: str) -> None:
    (served.folder / "linked").mkdir()
    (served.folder / "linked/image").symlink_to("/etc/hostname")
    answer = served.client.post("/task", json={"task": task(served, name), "assigned_by": "ray"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "inputs",
    [
        {"image": {"file": "@inputs/image", "region": "@inputs/image.geojson"}},
        {"image": {"file": "inputs/image", "region": SQUARE}},
        {"image": "@inputs/image", "image.geojson": "@inputs/image.geojson"},
    ],
)
def test_an_image_has_a_region(served: ServerEnvironment, inputs: Any) -> None:
    found = served.wait(served.post(task(served, inputs))["task_id"])
    assert found["regions"] == {"image": SQUARE}


def test_app_engines_form_of_an_array_holds_files(served: ServerEnvironment) -> None:
    items = [{"index": 0, "value": {"file": "@inputs/image", "region": SQUARE}}]
    found = served.wait(served.post(task(served, {"image": "@inputs/image", "images": items}))["task_id"])
    assert found["inputs"]["images"] == [str(served.folder / "inputs/image")]
    assert found["regions"] == {"images/0": SQUARE}


@pytest.mark.parametrize(
    "inputs",
    [
        {"image": "@inputs/image", "images": [{"index": 0, "value": "/etc/hostname"}]},
        {"image": {"file": "/etc/hostname", "region": SQUARE}},
        {"image": {"file": "@inputs/image", "region": "/etc/hostname"}},
        {"image": {"file": "@inputs/image", "crop": "@/etc/hostname"}},
        {"image": "@inputs/image", "image.geojson": "/etc/hostname"},
        {"image": "@inputs/image", "images": "@linked"},
    ],
)
def test_no_form_of_an_input_reads_other_files(served: ServerEnvironment, inputs: Any) -> None:
    (served.folder / "linked").mkdir()
    (served.folder / "linked/0").symlink_to("/etc/hostname")
    answer = served.client.post("/task", json={"task": task(served, inputs), "assigned_by": "ray"})
    assert answer.status_code == 422
    assert "not found" in answer.text


ITEMS = """inputs:
  names: {type: {id: array, subtype: file, min_size: 2}, description: n, display_name: N}
"""


def join(container: FakeContainer) -> int:
    texts = [container.path(f"/inputs/names/{index}").read_text() for index in range(3)]
    container.path("/outputs/sum").write_text(str(sum(map(int, texts))))
    return 0


def test_the_items_of_an_array_are_uploaded_in_any_order(tmp_path: Path) -> None:
    with serve_environment(tmp_path, join) as env:
        text = env.env.bundle.read_text()
        env.env.bundle.write_text(text[: text.index("inputs:\n")] + ITEMS + text[text.index("outputs:\n") :])
        task_id = env.run()
        for index in (2, 0, 0):
            answer = env.client.put(f"/task/{task_id}/inputs/names/{index}?of=3", content=str(index).encode())
            assert (answer.status_code, answer.json()["task"]["state"]) == (200, "CREATED")
        assert env.client.put(f"/task/{task_id}/inputs/names/3?of=3", content=b"1").status_code == 409
        assert env.client.put(f"/task/{task_id}/inputs/names/0", content=b"1").status_code == 422
        assert env.client.put(f"/task/{task_id}/inputs/nope/0?of=1", content=b"1").status_code == 422
        env.client.put(f"/task/{task_id}/inputs/names/1?of=3", content=b"10")
        found = env.wait(task_id)
        assert (found["message"], found["outputs"]) == ("finished", {"sum": 12})
        assert env.client.put(f"/task/{task_id}/inputs/names/1?of=3", content=b"1").status_code == 409


def test_items_that_are_invalid_together_are_reported_and_can_be_completed(tmp_path: Path) -> None:
    with serve_environment(tmp_path, join) as env:
        text = env.env.bundle.read_text()
        env.env.bundle.write_text(text[: text.index("inputs:\n")] + ITEMS + text[text.index("outputs:\n") :])
        task_id = env.run()
        answer = env.client.put(f"/task/{task_id}/inputs/names/0?of=1", content=b"1")
        assert answer.status_code == 422
        assert "expected at least 2" in answer.text
        for index in (1, 2):
            env.client.put(f"/task/{task_id}/inputs/names/{index}?of=3", content=b"1")
        assert env.wait(task_id)["outputs"] == {"sum": 3}


def test_an_item_of_an_input_that_is_no_array_is_refused(tmp_path: Path) -> None:
    with serve_environment(tmp_path, join) as env:
        task_id = env.run(a=1)
        answer = env.client.put(f"/task/{task_id}/inputs/b/0?of=1", content=b"1")
        assert (answer.status_code, "not an array" in answer.json()["detail"]) == (409, True)
