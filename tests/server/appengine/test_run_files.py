"""Inputs and outputs over HTTP: as JSON, as zips, as single files and as items."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.appengine.run_support import (
    NO_PROVISIONS,
    POINT,
    SERVER,
    STATE,
    TYPES,
    UNKNOWN,
    copy_inputs,
    descriptor,
)
from tests.server.appengine.test_provisions import check
from tests.support.app_engine_client import AppEngineEnvironment, assert_deviates, serve_app_engine
from tests.support.descriptors import parameter
from tests.support.image_files import dicom, png, slide

VALUES: dict[str, Any] = {
    "boolean": True,
    "integer": 15,
    "number": "nan",
    "string": "text",
    "choice": "B",
    "datetime": "2024-02-23T19:00:00+01:00",
    "geometry": POINT,
    "integers": [{"index": 0, "value": 100}, {"index": 1, "value": 200}],
    "geometries": [{"index": 0, "value": POINT}],
    "nested": [{"index": 0, "value": [{"index": 0, "value": 5}]}],
    "strings": [],
}
SLIDE = {"a.dcm": dicom(), "x/b.dcm": dicom(9, 8)}


def files_in(response: Any) -> dict[str, bytes]:
    assert response.status_code == 200, response.text
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert not any(item.is_dir() for item in archive.infolist())
        return {name: archive.read(name) for name in archive.namelist()}


class Run:
    """A run with a value for every input, which copies them to outputs of the same names."""

    def __init__(self, env: AppEngineEnvironment, task: Any) -> None:
        self.env = env
        self.id = env.create_run(task)["id"]

    def get(self, path: str, **options: Any) -> Any:
        return self.env.get(f"task-runs/{self.id}/{path}", **options)

    def put(self, name: str, value: Any) -> None:
        body = {"parameterName": name, "value": value}
        response = self.env.request("PUT", f"task-runs/{self.id}/input-provisions/{name}", json=body)
        assert response.status_code == 200, response.text

    def post(self, name: str, *contents: bytes, **params: Any) -> None:
        path = f"task-runs/{self.id}/input-provisions/{name}"
        files = [("file", ("a", data)) for data in contents]
        response = self.env.request("POST", path, files=files, params=params)
        assert response.status_code == 200, response.text


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppEngineEnvironment]:
    with serve_app_engine(tmp_path_factory.mktemp("server"), copy_inputs) as env:
        yield env


@pytest.fixture(scope="module")
def task(env: AppEngineEnvironment) -> Any:
    types = {name: parameter(kind) for name, kind in TYPES.items()}
    return env.upload(descriptor({**types, "slide": parameter("image", optional=True)}, types))


@pytest.fixture(scope="module")
def created(env: AppEngineEnvironment, task: Any) -> Run:
    return Run(env, task)


@pytest.fixture(scope="module")
def run(env: AppEngineEnvironment, task: Any) -> Run:
    """A finished run."""
    run = Run(env, task)
    for name, value in VALUES.items():
        run.put(name, value)
    run.put("integers", VALUES["integers"])  # App Engine cannot zip an input that was sent twice
    run.post("image", png(), POINT.encode())
    run.post("file", b"0123456789")
    run.post("slide", slide(SLIDE))
    for index in range(2):
        run.env.request(
            "POST",
            f"task-runs/{run.id}/input-provisions/images/indexes",
            params={"value": index},
            files={"file": ("a", png())},
        )
    env.request("POST", f"task-runs/{run.id}/state-actions", json={"desired": "RUNNING"})
    record = env.service.manager.wait_for(run.id, 30)
    assert record is not None
    assert record.state == "FINISHED", record
    return run


def expected(run: Run, *, is_input: bool) -> list[dict[str, Any]]:
    def value(name: str, kind: str, found: Any, **more: Any) -> dict[str, Any]:
        return {"taskRunId": run.id, "parameterName": name, "type": kind, "value": found, **more}

    inner = "nested[0]" if is_input else "nested/0"
    nested = value(inner, "ARRAY", [{"index": 0, "value": 5}], subType="INTEGER")
    empty = value("strings", "ARRAY", None)
    return [
        value("boolean", "BOOLEAN", True),
        value("integer", "INTEGER", 15),
        value("number", "NUMBER", "NaN"),
        value("string", "STRING", "text"),
        value("choice", "ENUMERATION", "B"),
        value("datetime", "DATETIME", "2024-02-23T18:00:00Z"),
        value("geometry", "GEOMETRY", POINT),
        value("image", "IMAGE", None),
        value("file", "FILE", None),
        value("integers", "ARRAY", VALUES["integers"], subType="INTEGER"),
        empty,
        value("images", "ARRAY", [{"index": 0}, {"index": 1}], subType="IMAGE"),
        value("geometries", "ARRAY", VALUES["geometries"], subType="GEOMETRY"),
        value("nested", "ARRAY", [nested], subType="ARRAY"),
        *([value("slide", "IMAGE", None)] if is_input else []),
    ]


class TestValues:
    def test_inputs_are_values_with_their_types(self, run: Run) -> None:
        response = run.get("inputs")
        assert response.json() == expected(run, is_input=True)
        assert_deviates(response, "number_words")

    def test_outputs_are_values_with_their_types(self, run: Run) -> None:
        assert run.get("outputs").json() == expected(run, is_input=False)

    def test_only_what_was_provisioned_is_listed(self, env: AppEngineEnvironment) -> None:
        inputs = {"a": "string", "b": parameter("string", optional=True, default="x")}
        run = Run(env, env.upload(descriptor(inputs, {}, "com.example.some")))
        run.put("a", None)
        assert [(one["parameterName"], one["value"]) for one in run.get("inputs").json()] == [("a", None)]
        env.request("POST", f"task-runs/{run.id}/state-actions", json={"desired": "RUNNING"})
        env.service.manager.wait_for(run.id, 30)
        assert [(one["parameterName"], one["value"]) for one in run.get("inputs").json()] == [("a", None)]

    @pytest.mark.parametrize("path", ["inputs", "inputs.zip", "outputs", "outputs.zip"])
    def test_a_created_run_has_none(self, created: Run, path: str) -> None:
        check(created.get(path), 403, STATE, "run is in invalid state")

    @pytest.mark.parametrize("accept", ["application/json", "*/*"])
    def test_a_refusal_has_the_content_type_that_is_accepted(self, created: Run, accept: str) -> None:
        response = created.get("outputs", headers={"Accept": accept})
        expected = "application/json" if accept == "application/json" else "text/plain;charset=UTF-8"
        assert response.headers["content-type"] == expected
        assert set(json.loads(response.content)) == {"errorCode", "message"}


class TestZips:
    def test_inputs_are_stored_without_folders_and_regions(self, run: Run) -> None:
        response = run.get("inputs.zip")
        found = files_in(response)
        assert_deviates(response, "inputs_zip")
        assert found["integer"] == b"15"
        assert found["integers/array.yml"] == b"size: 2"
        assert found["nested/0/0"] == b"5"
        assert found["strings/array.yml"] == b"size: 0"
        assert {name: found[f"slide/{name}"] for name in SLIDE} == SLIDE
        assert "image.geojson" not in found
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["content-disposition"] == f'attachment; filename="inputs-{run.id}.zip"'
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_STORED}
            assert not any(item.flag_bits & 8 for item in archive.infolist())

    def test_outputs_are_those_of_the_descriptor(self, run: Run) -> None:
        response = run.get("outputs.zip")
        inputs = files_in(run.get("inputs.zip"))
        assert files_in(response) == {name: data for name, data in inputs.items() if "slide" not in name}
        assert response.headers["content-disposition"] == f'attachment; filename="outputs-{run.id}.zip"'

    def test_a_run_without_outputs_has_nothing_to_zip(self, env: AppEngineEnvironment) -> None:
        run = Run(env, env.upload(descriptor({"a": "string"}, {}, "com.example.none")))
        run.put("a", "x")
        env.request("POST", f"task-runs/{run.id}/state-actions", json={"desired": "RUNNING"})
        env.service.manager.wait_for(run.id, 30)
        check(run.get("outputs.zip"), 403, NO_PROVISIONS, "provisions not found")
        assert run.get("outputs").json() == []


@pytest.mark.parametrize("direction", ["input", "output"])
class TestFiles:
    def test_a_file_is_sent_as_it_is(self, run: Run, direction: str) -> None:
        response = run.get(f"{direction}/image")
        assert (response.status_code, response.content) == (200, png())
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["content-disposition"] == 'attachment; filename="image"'

    def test_a_geometry_has_a_type_of_its_own_with_the_extension(self, run: Run, direction: str) -> None:
        response = run.get(f"{direction}/geometry.geojson")
        assert (response.status_code, response.text) == (200, POINT)
        assert response.headers["content-type"] == "application/geo+json"
        assert response.headers["content-disposition"] == 'attachment; filename="geometry"'

    def test_a_folder_is_a_deflated_zip(self, run: Run, direction: str) -> None:
        response = run.get(f"{direction}/integers")
        expected = {"integers/0": b"100", "integers/1": b"200", "integers/array.yml": b"size: 2"}
        assert files_in(response) == expected
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_DEFLATED}

    def test_a_range_is_a_part_of_the_file(self, run: Run, direction: str) -> None:
        response = run.get(f"{direction}/file", headers={"Range": "bytes=2-4"})
        assert (response.status_code, response.content) == (206, b"234")
        assert response.headers["content-range"] == "bytes 2-4/10"
        assert run.get(f"{direction}/file", headers={"Range": "bytes=20-"}).status_code == 416

    @pytest.mark.parametrize("name", ["unknown", "unknown.geojson"])
    def test_a_missing_file_cannot_be_read(self, run: Run, direction: str, name: str) -> None:
        response = run.get(f"{direction}/{name}")
        details = {
            "type": "related",
            "parameterName": "unknown",
            "description": "Failed to read file unknown",
        }
        message = "failed to read file from storage service"
        check(response, 400, "APPE-storage-reading-file-error", message, details)

    def test_neither_the_state_nor_the_run_is_checked(
        self, env: AppEngineEnvironment, created: Run, direction: str
    ) -> None:
        for run_id in (created.id, UNKNOWN):
            response = env.get(f"task-runs/{run_id}/{direction}/integer")
            assert response.json()["errorCode"] == "APPE-storage-reading-file-error"

    def test_an_item_is_sent_as_it_is(self, run: Run, direction: str) -> None:
        response = run.get(f"{direction}/images/indexes", params={"value": "1"})
        assert (response.status_code, response.content) == (200, png())
        assert response.headers["content-type"] == "application/octet-stream"
        name = "images/1" if direction == "input" else "1"
        assert response.headers["content-disposition"] == f'attachment; filename="{name}"'

    def test_an_item_that_is_a_folder_is_a_zip_without_the_name(self, run: Run, direction: str) -> None:
        found = files_in(run.get(f"{direction}/nested/indexes", params={"value": "0"}))
        assert found == {"0": b"5", "array.yml": b"size: 1"}
        assert run.get(f"{direction}/nested/indexes", params={"value": "0/0"}).content == b"5"

    def test_other_indexes_are_invalid(self, run: Run, direction: str) -> None:
        response = run.get(f"{direction}/images/indexes", params={"value": "a"})
        assert (response.status_code, response.json()["errorCode"]) == (400, "APPE-internal-invalid-indexes")
        response = run.get(f"{direction}/images/indexes", params={"value": "9"})
        assert response.json()["errorCode"] == "APPE-storage-reading-file-error"
        check(run.get(f"{direction}/images/indexes"), 500, SERVER, "Server error.")

    @pytest.mark.parametrize(
        ("accept", "status"), [("*/*", 200), ("multipart/form-data", 200), ("application/octet-stream", 500)]
    )
    def test_an_item_needs_an_accept_header_that_allows_forms(
        self, run: Run, direction: str, accept: str, status: int
    ) -> None:
        headers = {"Accept": accept}
        response = run.get(f"{direction}/images/indexes", params={"value": "0"}, headers=headers)
        assert response.status_code == status


def test_a_file_can_be_read_while_the_run_is_provisioned(env: AppEngineEnvironment, created: Run) -> None:
    created.put("integer", 5)
    assert created.get("input/integer").content == b"5"
    assert created.get("input/INTEGER").content == b"5"
