"""A started run can be ended by a request: with its outputs so far, or with those in a zip."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer
from tests.server.appengine.run_support import BUNDLE, GT, SERVER, STATE, UNKNOWN, VALUE, descriptor
from tests.server.appengine.test_provisions import check
from tests.support.app_engine_client import AppEngineEnvironment, assert_deviates, serve_app_engine

EMPTY = {"type": "empty"}
OUTPUTS = {
    "number": {"id": "integer", "gt": 3},
    "items": {"id": "array", "subtype": {"id": "integer", "lt": 9}, "max_size": 2},
}
MISSING = "APPE-internal-task-run-missing-outputs"
UNKNOWN_OUTPUT = "APPE-internal-task-run-unknown-output"
DIMENSIONS, SIZES = "APPE-internal-invalid-dimensions", "invalid collection dimensions"
LT = "value must be less than defined constraint"
ACTIVE = ("PENDING", "RUNNING")
GOOD = {"number": "5", "items/array.yml": "size: 1", "items/0": "7"}


def zip_of(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


class Tasks:
    """A task whose program writes the files of its input, and then runs until it is released."""

    def __init__(self) -> None:
        self.started, self.released = threading.Event(), threading.Event()

    def __call__(self, container: FakeContainer) -> int:
        for text in container.path("/inputs/write").read_text().split():
            name, _, value = text.partition("=")
            path = container.path(f"/outputs/{name}")
            path.parent.mkdir(exist_ok=True)
            path.write_text(value.replace("_", " "))
        self.started.set()
        while not self.released.wait(0.05) and not container.stopped.is_set():
            pass
        return 0


@pytest.fixture
def tasks() -> Tasks:
    return Tasks()


@pytest.fixture
def env(tmp_path: Any, tasks: Tasks) -> Iterator[AppEngineEnvironment]:
    with serve_app_engine(tmp_path, tasks) as env:
        yield env
        tasks.released.set()


def start(env: AppEngineEnvironment, tasks: Tasks, text: str = "") -> str:
    """Start a run whose program writes some files, and wait until it has; its id."""
    described = descriptor({"write": "string"}, OUTPUTS)
    described = described.replace('"/outputs"}', '"/outputs", "resources": {"cpus": 5}}')
    found = env.get("tasks").json() or [env.upload(described)]
    run_id = str(env.create_run(found[0])["id"])
    body = {"parameterName": "write", "value": text}
    env.request("PUT", f"task-runs/{run_id}/input-provisions/write", json=body)
    assert (
        env.request("POST", f"task-runs/{run_id}/state-actions", json={"desired": "RUNNING"}).status_code
        == 200
    )
    assert tasks.started.wait(30)
    return run_id


def finish(env: AppEngineEnvironment, run_id: str) -> Any:
    return env.request("POST", f"task-runs/{run_id}/state-actions", json={"desired": "FINISHED"})


def send(env: AppEngineEnvironment, run_id: str, data: bytes, secret: str | None = None) -> Any:
    run = env.service.runs.get(run_id)
    secret = secret or (run.secret if run else UNKNOWN)
    return env.request("POST", f"task-runs/{run_id}/{secret}/outputs.zip", files={"outputs": ("o.zip", data)})


def state(env: AppEngineEnvironment, run_id: str) -> str:
    return str(env.get(f"task-runs/{run_id}").json()["state"])


class TestFinished:
    def test_a_run_ends_with_its_outputs_so_far(self, env: AppEngineEnvironment, tasks: Tasks) -> None:
        run_id = start(env, tasks, "number=5 items/array.yml=size:_1 items/0=7")
        response = finish(env, run_id)
        assert (response.status_code, response.json()["resource"]["state"]) == (200, "FINISHED")
        record = env.service.manager.find_task(run_id)
        assert record is not None
        assert (record.state, record.outputs) == ("FINISHED", {"number": 5, "items": [7]})
        check(finish(env, run_id), 403, STATE, "run is in invalid state")

    def test_a_missing_output_is_an_error_and_the_run_goes_on(
        self, env: AppEngineEnvironment, tasks: Tasks
    ) -> None:
        run_id = start(env, tasks, "number=5")
        response = finish(env, run_id)
        check(response, 500, SERVER, "Server error.")
        assert response.json()["details"]["exceptionMessage"] == "Failed to read file items"
        assert state(env, run_id) in ACTIVE
        assert_deviates(env.get(f"task-runs/{run_id}"), "states")

    @pytest.mark.parametrize(
        ("files", "name", "code", "message"),
        [
            ("number=3 items/array.yml=size:_0", "number", VALUE, GT),
            ("number=x items/array.yml=size:_0", "number", VALUE, "invalid integer 'x'"),
            ("number=5 items/array.yml=size:_1 items/0=9", "items", VALUE, LT),
            (
                "number=5 items/array.yml=size:_2 items/0=1 items/1=x",
                "items",
                VALUE,
                "items/1: invalid integer 'x'",
            ),
            (
                "number=5 items/array.yml=size:_3 items/0=1 items/1=1 items/2=1",
                "items",
                DIMENSIONS,
                SIZES,
            ),
        ],
    )
    def test_an_invalid_output_fails_the_run_with_the_rule_of_app_engine(
        self, env: AppEngineEnvironment, tasks: Tasks, files: str, name: str, code: str, message: str
    ) -> None:
        run_id = start(env, tasks, files)
        body = finish(env, run_id).json()
        assert body["errorCode"] == "APPE-internal-batch-request-error"
        (error,) = body["details"]["errors"]
        assert (error["errorCode"], error["message"]) == (code, message)
        assert error["details"] == {"type": "parameter", "parameterName": name}
        assert state(env, run_id) == "FAILED"


class TestArchive:
    def test_a_run_ends_with_the_outputs_in_a_zip(self, env: AppEngineEnvironment, tasks: Tasks) -> None:
        run_id = start(env, tasks, "number=4 other=1")
        response = send(env, run_id, zip_of({**GOOD, "items/": ""}))
        assert response.status_code == 200
        assert_deviates(response, "posted_arrays")
        assert response.json() == env.get(f"task-runs/{run_id}/outputs").json()
        found = [(one["parameterName"], one["value"]) for one in response.json()]
        assert found == [("number", 5), ("items", [{"index": 0, "value": 7}])]
        assert state(env, run_id) == "FINISHED"
        assert env.get(f"task-runs/{run_id}/output/other").status_code == 400
        check(send(env, run_id, zip_of(GOOD)), 403, STATE, "run is in invalid state")

    @pytest.mark.parametrize(
        ("files", "code", "message"),
        [
            (
                {**GOOD, "other": "1"},
                UNKNOWN_OUTPUT,
                "unexpected output, did not match an actual task output",
            ),
            (
                {**GOOD, "numbers/0": "1"},
                UNKNOWN_OUTPUT,
                "unexpected output, did not match an actual task output",
            ),
            ({"items/array.yml": "size: 0"}, MISSING, "some outputs are missing in the archive"),
            ({"number": "5"}, MISSING, "some outputs are missing in the archive"),
        ],
    )
    def test_other_outputs_fail_the_run(
        self, env: AppEngineEnvironment, tasks: Tasks, files: dict[str, str], code: str, message: str
    ) -> None:
        run_id = start(env, tasks)
        response = send(env, run_id, zip_of(files))
        check(response, 400, code, message, EMPTY)
        if list(files) == ["number"]:
            assert_deviates(response, "posted_missing_arrays")
        assert state(env, run_id) == "FAILED"

    def test_an_invalid_output_fails_the_run_and_deletes_the_files(
        self, env: AppEngineEnvironment, tasks: Tasks
    ) -> None:
        run_id = start(env, tasks, "number=5")
        body = send(env, run_id, zip_of({**GOOD, "number": "3"})).json()
        assert body["errorCode"] == "APPE-internal-batch-request-error"
        assert [one["details"]["parameterName"] for one in body["details"]["errors"]] == ["number"]
        assert state(env, run_id) == "FAILED"
        assert env.get(f"task-runs/{run_id}/output/number").status_code == 400

    def test_the_secret_is_checked_before_the_state(self, env: AppEngineEnvironment) -> None:
        run_id = env.create_run(env.upload(descriptor({"write": "string"}, OUTPUTS)))["id"]
        code = "APPE-scheduler-unauthenticated-output-provisioning"
        message = "unauthenticated task failed to provision outputs for this run"
        check(send(env, run_id, b"", UNKNOWN), 400, code, message, EMPTY)
        check(send(env, run_id, b""), 403, STATE, "run is in invalid state")

    def test_an_unknown_run_is_not_found(self, env: AppEngineEnvironment) -> None:
        response = send(env, UNKNOWN, b"")
        check(response, 404, "APPE-internal-run-not-found-error", "Run not found.", EMPTY)
        check(send(env, "1", b""), 400, BUNDLE, "Invalid bundle format", EMPTY)

    def test_a_body_that_is_no_form_is_refused(self, env: AppEngineEnvironment) -> None:
        response = env.request("POST", f"task-runs/{UNKNOWN}/{UNKNOWN}/outputs.zip", content=b"")
        check(response, 400, "APPE-internal-not-multipart", "payload is not multipart", EMPTY)

    def test_a_run_that_waits_for_resources_can_be_ended(
        self, env: AppEngineEnvironment, tasks: Tasks
    ) -> None:
        start(env, tasks)
        run_id = start(env, tasks)  # there are no CPUs for two
        assert state(env, run_id) == "QUEUING"
        check(finish(env, run_id), 500, SERVER, "Server error.")
        assert send(env, run_id, zip_of(GOOD)).status_code == 200
        assert state(env, run_id) == "FINISHED"

    @pytest.mark.parametrize("data", [b"no zip", zip_of({"../number": "5"})])
    def test_a_file_that_is_no_zip_changes_nothing(
        self, env: AppEngineEnvironment, tasks: Tasks, data: bytes
    ) -> None:
        run_id = start(env, tasks)
        check(send(env, run_id, data), 500, SERVER, "Server error.")
        assert state(env, run_id) in ACTIVE
