"""Provisioning over HTTP: status, code, body and files of each request and refusal."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.task.workspace import Workspace
from tests.server.appengine.run_support import (
    BUNDLE,
    GT,
    POINT,
    SERVER,
    STATE,
    UNKNOWN,
    VALUE,
    copy_inputs,
    every_type,
)
from tests.support.app_engine_client import AppEngineEnvironment, assert_deviates, serve_app_engine
from tests.support.image_files import dicom, png, slide

EMPTY = {"type": "empty"}


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppEngineEnvironment]:
    with serve_app_engine(tmp_path_factory.mktemp("server"), copy_inputs) as env:
        env.task = env.upload(every_type())  # type: ignore[attr-defined]
        yield env


class Run:
    """A run of the task with every type."""

    def __init__(self, env: AppEngineEnvironment) -> None:
        self.env = env
        self.id = env.create_run(env.task)["id"]  # type: ignore[attr-defined]

    def send(self, method: str, path: str, **options: Any) -> Any:
        return self.env.request(method, f"task-runs/{self.id}/{path}", **options)

    def put(self, name: str, value: Any, **more: Any) -> Any:
        return self.send(
            "PUT", f"input-provisions/{name}", json={"parameterName": name, "value": value, **more}
        )

    def post(self, name: str, *contents: bytes, method: str = "POST") -> Any:
        files = [
            ("file" if not index else "location", ("a.png", data)) for index, data in enumerate(contents)
        ]
        return self.send(method, f"input-provisions/{name}", files=files)

    def put_item(self, name: str, indexes: str, value: Any, **more: Any) -> Any:
        path = f"input-provisions/{name}/indexes"
        return self.send("PUT", path, params={"value": indexes}, json={"value": value, **more})

    def post_item(self, name: str, indexes: str, content: bytes) -> Any:
        path = f"input-provisions/{name}/indexes"
        return self.send("POST", path, params={"value": indexes}, files={"file": ("a.png", content)})

    @property
    def state(self) -> str:
        return str(self.env.get(f"task-runs/{self.id}").json()["state"])

    @property
    def workspace(self) -> Workspace:
        return self.env.service.app.store.open(self.id)

    def files(self) -> dict[str, bytes]:
        folder = self.workspace.inputs
        found = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def run(env: AppEngineEnvironment) -> Run:
    return Run(env)


def check(response: Any, status: int, code: str, message: str, details: Any = None) -> None:
    body = response.json()
    assert (response.status_code, body["errorCode"], body["message"]) == (status, code, message)
    if status == 403:
        assert "details" not in body
    elif details is None:
        assert body["details"]["type"] == "server"
    else:
        assert body["details"] == details


def of(name: str) -> dict[str, str]:
    return {"type": "parameter", "parameterName": name}


class TestJson:
    @pytest.mark.parametrize(
        ("name", "value", "content"),
        [
            ("boolean", True, b"true"),
            ("integer", 18, b"18"),
            ("number", 2.5, b"2.5"),
            ("number", "nan", b"nan"),
            ("string", "text", b"text"),
            ("string", None, b"null"),
            ("choice", "A", b"A"),
            ("datetime", "2024-02-23T18:00:00Z", b"2024-02-23T18:00:00Z"),
            ("geometry", POINT, POINT.encode()),
        ],
    )
    def test_a_value_is_echoed_and_written(self, run: Run, name: str, value: Any, content: bytes) -> None:
        response = run.put(name, value)
        assert response.status_code == 200
        assert response.json() == {"parameterName": name, "value": value, "taskRunId": run.id}
        assert run.files() == {name: content}
        assert "warning" not in response.headers

    def test_an_array_is_written_by_its_indexes(self, run: Run) -> None:
        value = [{"index": 1, "value": 7}, {"index": 0, "value": 3}]
        assert run.put("integers", value).json()["value"] == value
        assert run.files() == {"integers/0": b"3", "integers/1": b"7", "integers/array.yml": b"size: 2"}

    def test_a_bare_list_is_accepted_with_a_warning(self, run: Run) -> None:
        response = run.put("strings", ["a", "b"])
        assert response.json() == {"parameterName": "strings", "value": ["a", "b"], "taskRunId": run.id}
        assert_deviates(response, "array_bare_list")
        assert run.files() == {"strings/0": b"a", "strings/1": b"b", "strings/array.yml": b"size: 2"}

    def test_a_geojson_collection_is_accepted_for_an_array_with_a_warning(self, run: Run) -> None:
        text = f'{{"type":"GeometryCollection","geometries":[{POINT}]}}'
        response = run.put("geometries", text)
        assert response.status_code == 200
        assert_deviates(response, "array_geojson")
        assert run.files()["geometries/array.yml"] == b"size: 1"

    @pytest.mark.parametrize("kind", ["INTEGER", "ARRAY", None])
    def test_the_type_may_be_there(self, run: Run, kind: Any) -> None:
        assert run.put("integer", 5, type=kind).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            {"parameterName": "integer", "value": 5, "taskRunId": UNKNOWN},
            {"parameterName": "integer", "value": 5, "type": {"id": "integer"}},
            {"parameterName": "integer", "value": 5, "type": "integer"},
            {"parameterName": ["integer"], "value": 5},
            [{"parameterName": "integer", "value": 5}],
            5,
        ],
    )
    def test_any_other_key_cannot_be_processed(self, run: Run, body: Any) -> None:
        response = run.send("PUT", "input-provisions/integer", json=body)
        check(response, 403, STATE, "unable to process json")
        assert run.files() == {}

    @pytest.mark.parametrize("content", [b"", b"{", b'{"value": NaN}', b"[" * 100_000, b"\xff"])
    def test_a_body_that_is_not_json_is_refused(self, run: Run, content: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        response = run.send("PUT", "input-provisions/integer", content=content, headers=headers)
        check(response, 400, STATE, "unknown state in transition request", EMPTY)

    @pytest.mark.parametrize("kind", ["text/plain", "image/png", None])
    def test_another_content_type_is_an_error_of_the_server(self, run: Run, kind: str | None) -> None:
        headers = {"Content-Type": kind} if kind else {}
        check(
            run.send("PUT", "input-provisions/integer", content=b"5", headers=headers),
            500,
            SERVER,
            "Server error.",
        )

    def test_a_charset_in_the_content_type_is_ignored(self, run: Run) -> None:
        content = b'{"parameterName": "integer", "value": 5}'
        headers = {"Content-Type": "application/json;charset=UTF-8"}
        response = run.send("PUT", "input-provisions/integer", content=content, headers=headers)
        assert response.status_code == 200

    def test_a_value_that_breaks_a_rule_is_not_stored(self, run: Run) -> None:
        run.put("integer", 5)
        check(run.put("integer", 3), 400, VALUE, GT, of("integer"))
        assert run.files() == {"integer": b"5"}

    def test_a_missing_value_is_a_null_pointer(self, run: Run) -> None:
        response = run.send("PUT", "input-provisions/integer", json={"parameterName": "integer"})
        check(response, 500, BUNDLE, "Invalid bundle format", EMPTY)

    def test_an_unknown_parameter_in_the_body_is_not_found(self, run: Run) -> None:
        body = {"parameterName": "unknown", "value": 5}
        response = run.send("PUT", "input-provisions/integer", json=body)
        check(response, 404, "APPE-internal-parameter-not-found", "parameter not found", of("integer"))

    def test_an_unknown_parameter_in_the_address_alone_is_a_null_pointer(self, run: Run) -> None:
        body = {"parameterName": "integer", "value": 5}
        response = run.send("PUT", "input-provisions/unknown", json=body)
        check(response, 500, BUNDLE, "Invalid bundle format", EMPTY)
        assert run.files() == {}

    def test_names_are_compared_without_case(self, run: Run) -> None:
        response = run.put("INTEGER", 5)
        assert response.json()["parameterName"] == "INTEGER"
        assert_deviates(response, "provision_name")
        assert_deviates(run.post("FILE", b"data"), "provision_name")
        assert run.files() == {"integer": b"5", "file": b"data"}

    def test_a_run_is_looked_up_before_its_body_is_processed(self, env: AppEngineEnvironment) -> None:
        for run_id, status in ((UNKNOWN, 404), ("not-a-uuid", 400)):
            path = f"task-runs/{run_id}/input-provisions/integer"
            assert env.request("PUT", path, json={"other": 5}).status_code == status

    def test_an_unknown_run_is_not_found(self, env: AppEngineEnvironment) -> None:
        path = f"task-runs/{UNKNOWN}/input-provisions/integer"
        response = env.request("PUT", path, json={"parameterName": "integer", "value": 5})
        check(response, 404, "APPE-internal-run-not-found-error", "Run not found.", EMPTY)

    def test_an_id_that_is_no_uuid_has_an_invalid_format(self, env: AppEngineEnvironment) -> None:
        path = "task-runs/1/input-provisions/integer"
        response = env.request("PUT", path, json={"parameterName": "integer", "value": 5})
        check(response, 400, BUNDLE, "Invalid bundle format", EMPTY)


class TestPaths:
    @pytest.fixture
    def path(self, env: AppEngineEnvironment) -> Path:
        path = env.server.folder / "scan.png"
        path.write_bytes(png())
        return path

    @pytest.mark.parametrize("name", ["file", "image"])
    def test_a_served_file_is_copied(self, run: Run, path: Path, name: str) -> None:
        response = run.put(name, str(path))
        assert response.json() == {"parameterName": name, "taskRunId": run.id}
        assert run.files() == {name: png()}

    def test_files_are_items(self, run: Run, path: Path) -> None:
        run.put("images", [{"index": 0, "value": str(path)}])
        assert run.files() == {"images/0": png(), "images/array.yml": b"size: 1"}

    @pytest.mark.parametrize("value", ["scan.png", "/lost", {}, 5])
    def test_anything_else_is_the_wrong_type(self, run: Run, path: Path, value: Any) -> None:
        check(run.put("image", value), 400, VALUE, "invalid parameter type", of("image"))

    def test_a_file_that_clients_may_not_name_is_refused_with_a_warning(self, run: Run) -> None:
        response = run.put("file", "/etc/passwd")
        check(response, 400, VALUE, "invalid parameter type", of("file"))
        assert_deviates(response, "file_path")


class TestFiles:
    @pytest.mark.parametrize("name", ["image", "file"])
    def test_the_first_part_is_stored(self, run: Run, name: str) -> None:
        response = run.post(name, png())
        assert (response.status_code, response.json()) == (200, {"parameterName": name, "taskRunId": run.id})
        assert run.files() == {name: png()}

    def test_the_second_part_is_the_region(self, run: Run) -> None:
        assert run.post("image", png(), POINT.encode()).status_code == 200
        assert run.files() == {"image": png(), "image.geojson": POINT.encode()}
        assert_deviates(run.post("image", png()), "region_replaced")
        assert run.files() == {"image": png()}

    def test_a_zipped_slide_is_unpacked(self, run: Run) -> None:
        assert run.post("image", slide({"a.dcm": dicom()})).status_code == 200
        assert run.files() == {"image/a.dcm": dicom()}

    def test_folders_in_a_zipped_slide_are_ignored_with_a_warning(self, run: Run) -> None:
        response = run.post("image", slide({"a/": b"", "a/b.dcm": dicom()}))
        assert response.status_code == 200
        assert_deviates(response, "slide_folders")
        assert run.files() == {"image/a/b.dcm": dicom()}

    def test_put_with_a_form_works_like_post_with_a_warning(self, run: Run) -> None:
        response = run.post("file", b"data", method="PUT")
        assert response.json() == {"parameterName": "file", "taskRunId": run.id}
        assert_deviates(response, "put_multipart")
        assert run.files() == {"file": b"data"}

    def test_a_plain_field_is_refused(self, run: Run) -> None:
        response = run.send("POST", "input-provisions/image", files={"file": (None, b"data")})
        check(response, 400, SERVER, "Server error.", of("image"))

    def test_a_form_without_parts_is_refused(self, run: Run) -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        response = run.send("POST", "input-provisions/image", content=b"--x--\r\n", headers=headers)
        check(response, 400, SERVER, "Server error.", of("image"))

    def test_a_body_that_is_no_form_is_an_error_of_the_server(self, run: Run) -> None:
        for path in ("input-provisions/image", "input-provisions/images/indexes?value=0"):
            check(run.send("POST", path, json={}), 500, SERVER, "Server error.")

    def test_an_invalid_image_is_refused_and_nothing_is_kept(self, run: Run) -> None:
        response = run.post("image", slide({"a.txt": b""}))
        check(response, 400, VALUE, "invalid image format", of("image"))
        assert_deviates(response, "refused_file")
        assert run.files() == {}

    @pytest.mark.parametrize(
        ("name", "message"),
        [("boolean", "value does not match defined constraint."), ("number", "invalid parameter type")],
    )
    def test_a_file_is_no_value_of_another_type(self, run: Run, name: str, message: str) -> None:
        check(run.post(name, b"5"), 400, VALUE, message, of(name))

    def test_an_unknown_run_or_parameter_is_not_found(self, env: AppEngineEnvironment, run: Run) -> None:
        response = env.request(
            "POST", f"task-runs/{UNKNOWN}/input-provisions/image", files={"file": ("a", b"")}
        )
        check(response, 404, "APPE-internal-run-not-found-error", "Run not found.", EMPTY)
        response = run.post("unknown", png())
        check(response, 404, "APPE-internal-parameter-not-found", "parameter not found", of("unknown"))

    def test_nothing_remains_of_a_form(self, env: AppEngineEnvironment, run: Run) -> None:
        run.post("image", png(), POINT.encode())
        run.post("unknown", png())
        incoming = env.service.app.settings.home / "appengine" / "incoming"
        assert [*incoming.iterdir(), *run.workspace.path.glob("uploads/*")] == []


class TestBatch:
    def send(self, run: Run, *bodies: Any) -> Any:
        return run.send("PUT", "input-provisions", json=list(bodies))

    def test_answers_are_in_the_order_of_the_values(self, run: Run) -> None:
        bodies: list[dict[str, Any]] = [
            {"parameterName": "string", "value": "a"},
            {"parameterName": "integer", "value": 5},
        ]
        response = self.send(run, *bodies)
        assert response.json() == [{**body, "taskRunId": run.id} for body in bodies]
        assert run.files() == {"string": b"a", "integer": b"5"}
        assert run.state == "PROVISIONED"

    def test_an_empty_list_changes_nothing(self, run: Run) -> None:
        assert self.send(run).json() == []
        assert run.state == "CREATED"

    def test_one_error_refuses_all(self, run: Run) -> None:
        response = self.send(
            run,
            {"parameterName": "string", "value": "a"},
            {"parameterName": "integer", "value": 3},
            {"parameterName": "unknown", "value": 3},
            {"parameterName": "boolean", "value": True, "other": 1},
            {"parameterName": "integers", "value": None},
        )
        message = "Error(s) occurred during a handling of a batch request."
        found = [
            {"errorCode": VALUE, "message": GT, "details": of("integer")},
            {
                "errorCode": "APPE-internal-parameter-not-found",
                "message": "parameter not found",
                "details": of("unknown"),
            },
            {"errorCode": STATE, "message": "unable to process json", "details": of("boolean")},
            {
                "errorCode": "APPE-storage-storing-input-failed",
                "message": "failed to store input file in storage service",
                "details": {
                    "type": "related",
                    "parameterName": "integers",
                    "description": "the value is null",
                },
            },
        ]
        check(response, 400, "APPE-internal-batch-request-error", message, {"type": "batch", "errors": found})
        assert run.files() == {}

    def test_what_is_no_list_is_refused(self, run: Run) -> None:
        response = run.send("PUT", "input-provisions", json={"parameterName": "integer", "value": 5})
        check(response, 400, STATE, "unknown state in transition request", EMPTY)

    def test_a_value_that_java_cannot_cast_is_an_error_of_the_whole_request(self, run: Run) -> None:
        assert self.send(run, {"parameterName": "integer", "value": "5"}).status_code == 500


class TestItems:
    @pytest.mark.parametrize("indexes", ["0", "2", "10"])
    def test_an_item_is_stored_under_its_index(self, run: Run, indexes: str) -> None:
        response = run.put_item("integers", indexes, 7)
        assert response.json() == {"index": f"integers/{indexes}", "value": 7, "taskRunId": run.id}
        assert run.files() == {f"integers/{indexes}": b"7", "integers/array.yml": b"size: 1"}

    def test_a_nested_item_has_a_path_of_indexes(self, run: Run) -> None:
        assert run.put_item("nested", "0/1", 7).json()["index"] == "nested/0/1"
        found = {"nested/0/1": b"7", "nested/0/array.yml": b"size: 1", "nested/array.yml": b"size: 1"}
        assert run.files() == found

    @pytest.mark.parametrize("more", [{"index": 0}, {"type": "INTEGER"}, {"parameterName": "integers"}])
    def test_other_keys_of_an_item_may_be_there(self, run: Run, more: Any) -> None:
        assert run.put_item("integers", "0", 7, **more).status_code == 200

    def test_an_unknown_key_cannot_be_processed(self, run: Run) -> None:
        check(run.put_item("integers", "0", 7, other=1), 403, STATE, "unable to process json")

    def test_a_geometry_is_not_echoed(self, run: Run) -> None:
        response = run.put_item("geometries", "0", POINT)
        assert response.json() == {"index": "geometries/0", "taskRunId": run.id}
        assert run.files()["geometries/0"] == POINT.encode()

    def test_a_file_is_an_item(self, run: Run) -> None:
        for index in range(2):
            response = run.post_item("images", str(index), png())
            assert response.json() == {"index": f"images/{index}", "taskRunId": run.id}
        assert run.files() == {"images/0": png(), "images/1": png(), "images/array.yml": b"size: 2"}

    @pytest.mark.parametrize("indexes", ["", "01", "-1", "a", "0/", "/0", "0//1", "1.0", " 0"])
    def test_other_indexes_are_invalid(self, run: Run, indexes: str) -> None:
        description = f"indexes [{indexes}] is not a valid"
        details = {"type": "related", "parameterName": "integers", "description": description}
        for response in (run.put_item("integers", indexes, 7), run.post_item("integers", indexes, b"")):
            body = response.json()
            assert (response.status_code, body["errorCode"]) == (400, "APPE-internal-invalid-indexes")
            assert body["details"] == details

    def test_indexes_are_required(self, run: Run) -> None:
        response = run.send("PUT", "input-provisions/integers/indexes", json={"value": 7})
        check(response, 500, SERVER, "Server error.")

    def test_an_unknown_parameter_is_not_found(self, run: Run) -> None:
        for response in (run.put_item("unknown", "0", 7), run.post_item("unknown", "0", b"")):
            check(response, 404, "APPE-internal-parameter-not-found", "parameter not found", of("unknown"))

    def test_another_type_has_no_items(self, run: Run) -> None:
        for response in (run.put_item("integer", "0", 7), run.post_item("image", "0", b"")):
            assert response.json()["message"] == "invalid parameter type"
            assert response.status_code == 400

    def test_a_value_that_breaks_a_rule_is_an_error_of_the_server(self, run: Run) -> None:
        check(run.put_item("integers", "0", "7"), 500, SERVER, "Server error.")
        check(run.post_item("images", "0", b"no png"), 500, SERVER, "Server error.")
        assert run.files() == {}

    def test_an_index_beyond_the_size_matters_for_lists_only(self, run: Run) -> None:
        assert run.put_item("integers", "3", 7).status_code == 200
        check(run.put_item("nested", "4", [{"index": 0, "value": 1}]), 500, SERVER, "Server error.")
        assert run.put_item("nested", "3", [{"index": 0, "value": 1}]).status_code == 200

    def test_a_file_of_another_subtype_is_an_error_of_the_server(self, run: Run) -> None:
        check(run.post_item("integers", "0", b"7"), 500, SERVER, "Server error.")

    @pytest.mark.parametrize(("value", "warns"), [("hello", True), ('"5"', False), ("true", False)])
    def test_any_text_is_an_item(self, run: Run, value: str, warns: bool) -> None:
        response = run.put_item("strings", "0", value)
        assert response.status_code == 200
        if warns:
            assert_deviates(response, "item_text")
        else:
            assert "JSON" not in response.headers["warning"]
        assert run.files()["strings/0"] == value.encode()

    @pytest.mark.parametrize("name", ["integers", "strings"])
    def test_an_array_without_both_bounds_has_items_with_a_warning(self, run: Run, name: str) -> None:
        assert_deviates(run.put_item(name, "0", None), "array_bounds")
        assert "warning" not in run.post_item("images", "0", png()).headers

    def test_a_nested_array_without_both_bounds_is_stored_with_a_warning(self, run: Run) -> None:
        value = [{"index": 0, "value": [{"index": 0, "value": 1}]}]
        assert_deviates(run.put("nested", value), "array_bounds")
        assert "warning" not in run.put("integers", value[0]["value"]).headers

    def test_a_nested_list_without_indexes_is_numbered_with_a_warning(self, run: Run) -> None:
        response = run.put("nested", [{"index": 3, "value": [5, 6]}])
        assert_deviates(response, "array_bare_list")
        assert (run.files()["nested/3/0"], run.files()["nested/3/1"]) == (b"5", b"6")

    def test_a_single_bound_is_checked_with_a_warning(self, run: Run) -> None:
        response = run.put("integers", [{"index": index, "value": 1} for index in range(4)])
        code, message = "APPE-internal-invalid-dimensions", "invalid collection dimensions"
        check(response, 400, code, message, of("integers"))
        assert_deviates(response, "array_one_size")

    def test_an_item_that_is_sent_again_is_counted_once_with_a_warning(self, run: Run) -> None:
        run.put_item("integers", "0", 7)
        response = run.put_item("integers", "0", 8)
        assert_deviates(response, "array_size")
        assert run.files() == {"integers/0": b"8", "integers/array.yml": b"size: 1"}

    def test_a_whole_array_that_is_sent_again_replaces_the_first(self, run: Run) -> None:
        run.put("integers", [{"index": 0, "value": 7}, {"index": 1, "value": 8}])
        response = run.put("integers", [{"index": 0, "value": 9}])
        assert_deviates(response, "array_size")
        assert run.files() == {"integers/0": b"9", "integers/array.yml": b"size: 1"}


class TestState:
    def test_a_run_is_provisioned_with_its_last_required_input(self, run: Run) -> None:
        run.put("string", "a")
        assert run.state == "CREATED"
        run.put("integer", 5)
        assert run.state == "PROVISIONED"
        run.put("integer", 6)
        assert run.state == "PROVISIONED"
        assert run.files()["integer"] == b"6"

    def test_the_task_shows_its_state_and_what_it_lacks(self, env: AppEngineEnvironment, run: Run) -> None:
        run.put("string", "a")
        record = env.client.get(f"/task/{run.id}").json()["task"]
        assert (record["state"], record["missing"], record["received"]) == (
            "CREATED",
            ["integer"],
            {"string": "a"},
        )
        run.put("integer", 5)
        run.put_item("integers", "0", 5)
        record = env.client.get(f"/task/{run.id}").json()["task"]
        assert record["state"] == "PROVISIONED"
        notes = [event.message for event in run.workspace.read_events() if event.kind == "note"]
        assert notes == ["received input string", "received input integer", "received input integers/0"]

    def start(self, run: Run) -> str:
        """Start a run and wait for its end; the id of its localrun task."""
        assert run.send("POST", "state-actions", json={"desired": "RUNNING"}).status_code == 200
        found = run.env.service.get_run(run.id).localrun_id
        run.env.service.manager.wait_for(found, 30)
        return found

    def test_a_run_that_has_ended_is_provisioned_and_run_again(
        self, env: AppEngineEnvironment, run: Run
    ) -> None:
        # Given a run that has ended
        run.put("integer", 5)
        run.put("string", None)
        run.put("strings", ["a"])
        first = self.start(run)
        assert (first, run.state) == (run.id, "FINISHED")

        # When one input is refused, it stays so
        check(run.put("integer", 3), 400, VALUE, GT, of("integer"))
        assert run.state == "FINISHED"

        # When one input is replaced, then the run is provisioned with it and all others
        assert run.put("integer", 6).status_code == 200
        assert run.state == "PROVISIONED"
        assert env.get(f"task-runs/{run.id}/input/integer").content == b"6"
        found = env.get(f"task-runs/{run.id}/inputs").json()
        assert [(one["parameterName"], one["value"]) for one in found] == [
            ("integer", 6),
            ("string", None),
            ("strings", [{"index": 0, "value": "a"}]),
        ]
        assert {one["taskRunId"] for one in found} == {run.id}
        check(run.send("GET", "outputs"), 403, STATE, "run is in invalid state")

        # And it runs again as another task of localrun
        second = self.start(run)
        assert (second != first, run.state) == (True, "FINISHED")
        for task_id, value, origin in ((first, 5, ""), (second, 6, first)):
            record = env.service.manager.find_task(task_id)
            assert record is not None
            assert (record.inputs["integer"], record.rerun_of) == (value, origin)
        env.request("DELETE", f"task-runs/{run.id}")
        assert [env.service.manager.find_task(one) for one in (first, second)] == [None, None]

    def test_a_deleted_run_is_not_provisioned(self, env: AppEngineEnvironment, run: Run) -> None:
        env.request("DELETE", f"task-runs/{run.id}")
        response = run.put("integer", 6)
        check(response, 403, STATE, "run is in invalid state")
        assert_deviates(response, "provision_deleted")


def test_a_run_of_an_upper_case_id_is_found(env: AppEngineEnvironment, run: Run) -> None:
    path = f"task-runs/{run.id.upper()}/input-provisions/integer"
    response = env.request("PUT", path, json={"parameterName": "integer", "value": 5})
    assert response.json()["taskRunId"] == run.id
    assert str(uuid.UUID(run.id)) == run.id
