"""Runs over HTTP: their state, the actions that change it, their log and their deletion."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer
from localrun.manager.request import Request
from localrun.server.appengine.provisioning.provisioner import Provisioner
from tests.server.appengine.run_support import (
    BUNDLE,
    NO_PROVISIONS,
    POINT,
    SERVER,
    STATE,
    UNKNOWN,
    descriptor,
)
from tests.server.appengine.test_provisions import check
from tests.support.app_engine_client import AppEngineEnvironment, assert_deviates, serve_app_engine
from tests.support.descriptors import parameter
from tests.support.image_files import png

EMPTY = {"type": "empty"}
ARRAY = {"id": "array", "subtype": "integer"}
INPUTS = {
    "mode": "string",
    "image": parameter("image", optional=True),
    "extra": parameter("integer", optional=True, default=3),
    "number": parameter("number", optional=True),
    "time": parameter("datetime", optional=True),
    "left": parameter(ARRAY, optional=True, dependencies={"matching": ["inputs/right"]}),
    "right": parameter(ARRAY, optional=True),
}
OPTIONAL = {"extra": parameter("integer", optional=True)}


class Programs:
    """The program of the tasks: it writes its mode, and fails or waits if that says so."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def __call__(self, container: FakeContainer) -> Any:
        mode = container.path("/inputs/mode").read_text()
        container.stdout.write(f"mode {mode}\n")
        if mode == "wait":
            self.released.wait(30)
        names = sorted(path.name for path in container.path("/inputs").iterdir())
        container.path("/outputs/names").write_text(" ".join(names))
        return 1 if mode == "fail" else 0


@pytest.fixture(scope="module")
def programs() -> Programs:
    return Programs()


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[AppEngineEnvironment]:
    with serve_app_engine(tmp_path_factory.mktemp("server"), programs) as env:
        env.task = env.upload(descriptor(INPUTS, {"names": "string"}))  # type: ignore[attr-defined]
        yield env
        programs.released.set()


class Run:
    """A run of the task of this module."""

    def __init__(self, env: AppEngineEnvironment, mode: str | None = None) -> None:
        self.env = env
        self.id = env.create_run(env.task)["id"]  # type: ignore[attr-defined]
        if mode is not None:
            self.put("mode", mode)

    def put(self, name: str, value: Any) -> Any:
        body = {"parameterName": name, "value": value}
        return self.env.request("PUT", f"task-runs/{self.id}/input-provisions/{name}", json=body)

    def get(self, path: str = "", **options: Any) -> Any:
        return self.env.get(f"task-runs/{self.id}{path}", **options)

    def ask(self, state: Any) -> Any:
        return self.env.request("POST", f"task-runs/{self.id}/state-actions", json={"desired": state})

    def delete(self) -> Any:
        return self.env.request("DELETE", f"task-runs/{self.id}")

    def finish(self) -> str:
        """Start the run and wait for its end; its state."""
        assert self.ask("RUNNING").status_code == 200
        self.env.service.manager.wait_for(self.id, 30)
        return self.state

    @property
    def state(self) -> str:
        return str(self.get().json()["state"])


class TestRun:
    def test_a_run_has_its_task_state_and_time(self, env: AppEngineEnvironment) -> None:
        run = Run(env)
        found = run.get().json()
        task = env.get("tasks/com.example.runs/1.0.0").json()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", found.pop("createdAt"))
        assert found == {"id": run.id, "task": task, "state": "CREATED", "updatedAt": None}

    @pytest.mark.parametrize("path", ["", "/inputs", "/outputs", "/inputs.zip", "/outputs.zip"])
    def test_an_unknown_run_is_not_found(self, env: AppEngineEnvironment, path: str) -> None:
        response = env.get(f"task-runs/{UNKNOWN}{path}")
        check(response, 404, "APPE-internal-run-not-found-error", "Run not found.", EMPTY)
        check(env.get(f"task-runs/1{path}"), 400, BUNDLE, "Invalid bundle format", EMPTY)


class TestProvisioned:
    def test_it_needs_a_run_that_is_created(self, env: AppEngineEnvironment) -> None:
        check(Run(env, "a").ask("PROVISIONED"), 403, STATE, "run is in invalid state")

    def test_the_answer_says_provisioned_in_any_case(self, env: AppEngineEnvironment) -> None:
        run = Run(env)
        response = run.ask("PROVISIONED")
        assert response.json()["resource"]["state"] == "PROVISIONED"
        assert run.state == "CREATED"

    def test_optional_inputs_alone_need_no_value(self, env: AppEngineEnvironment) -> None:
        task = env.upload(descriptor(OPTIONAL, {}, "com.example.optional"))
        run_id = env.create_run(task)["id"]
        path = f"task-runs/{run_id}/state-actions"
        check(env.request("POST", path, json={"desired": "RUNNING"}), 403, NO_PROVISIONS, "not provisioned")
        assert env.request("POST", path, json={"desired": "PROVISIONED"}).status_code == 200
        assert env.get(f"task-runs/{run_id}").json()["state"] == "PROVISIONED"


class TestRunning:
    def test_it_answers_queuing_and_the_run_ends(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        assert run.state == "PROVISIONED"
        found = run.ask("RUNNING").json()
        assert found["status"] == "success"
        resource = found["resource"]
        for key in ("createdAt", "updatedAt"):
            assert re.fullmatch(r".*T\d\d:\d\d:\d\d\.\d{3}\+00:00", resource[key])
            assert datetime.fromisoformat(resource[key]).year
        assert (resource["id"], resource["state"]) == (run.id, "QUEUING")
        assert resource["task"] == run.get().json()["task"]
        env.service.manager.wait_for(run.id, 30)
        assert run.state == "FINISHED"

    def test_defaults_are_not_applied(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        run.finish()
        assert run.get("/output/names").text == "mode"

    def test_a_run_that_is_not_provisioned_does_not_start(self, env: AppEngineEnvironment) -> None:
        check(Run(env).ask("RUNNING"), 403, NO_PROVISIONS, "not provisioned")

    def test_a_run_that_this_machine_can_never_run_stays_provisioned(self, env: AppEngineEnvironment) -> None:
        text = descriptor(OPTIONAL, {}, "com.example.large").replace(
            '"/outputs"}', '"/outputs", "resources": {"ram": "900Ti"}}'
        )
        run_id = env.create_run(env.upload(text))["id"]
        for state, status in (("PROVISIONED", 200), ("RUNNING", 500)):
            response = env.request("POST", f"task-runs/{run_id}/state-actions", json={"desired": state})
            assert response.status_code == status
        check(response, 500, SERVER, "Server error.")
        assert "requested 921600Gi of memory" in response.json()["details"]["exceptionMessage"]
        assert env.get(f"task-runs/{run_id}").json()["state"] == "PROVISIONED"

    def test_a_run_starts_once(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        assert run.finish() == "FINISHED"
        check(run.ask("RUNNING"), 403, STATE, "run is in invalid state")

    def test_arrays_that_match_need_the_same_size(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        run.put("left", [{"index": 0, "value": 1}])
        run.put("right", [])
        message = "collections don't have the same size"
        check(run.ask("RUNNING"), 400, "APPE-internal-not-matching", message, EMPTY)
        assert run.state == "PROVISIONED"
        run.put("right", [{"index": 0, "value": 1}])
        assert run.finish() == "FINISHED"

    def test_an_array_that_is_not_set_matches(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        run.put("left", [{"index": 0, "value": 1}])
        response = run.ask("RUNNING")
        assert response.status_code == 200
        assert_deviates(response, "matching_unset")

    def test_a_failed_run_is_failed_and_a_killed_one_too(
        self, env: AppEngineEnvironment, programs: Programs
    ) -> None:
        failed = Run(env, "fail")
        assert failed.finish() == "FAILED"
        assert_deviates(failed.get(), "failed")
        run = Run(env, "wait")
        run.ask("RUNNING")
        env.service.manager.kill_task(run.id, 0)
        programs.released.set()
        env.service.manager.wait_for(run.id, 30)
        programs.released.clear()
        assert run.state == "FAILED"

    def test_values_and_regions_reach_the_record(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        run.put("extra", None)
        run.put("number", 5)
        run.put("time", "2024-02-23T19:00:00+01:00")
        files = [("file", ("a", png())), ("location", ("b", POINT.encode()))]
        env.request("POST", f"task-runs/{run.id}/input-provisions/image", files=files)
        run.finish()
        record = env.service.manager.find_task(run.id)
        assert record is not None
        folder = env.service.app.store.open(run.id).inputs
        given = {"mode": "a", "extra": None, "number": 5, "time": "2024-02-23T19:00:00+01:00"}
        assert record.inputs == {**given, "image": str(folder / "image")}
        assert isinstance(record.inputs["number"], int)
        assert record.regions == {"image": {"type": "Point", "coordinates": [1, 2]}}
        assert run.get("/output/names").text == "extra image image.geojson mode number time"

    def test_what_only_localrun_checks_is_a_warning(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        run.put("left", [{"index": 5, "value": 1}])
        files = [("file", ("a", png())), ("location", ("b", b"no geometry"))]
        env.request("POST", f"task-runs/{run.id}/input-provisions/image", files=files)
        assert run.finish() == "FINISHED"
        record = env.service.manager.find_task(run.id)
        assert record is not None
        found = [text for text in record.warnings if text.endswith("(App Engine accepts this)")]
        region, gap = found
        assert region.startswith("inputs.image.region: invalid JSON 'no geometry'")
        assert gap == "inputs.left.0: missing item (App Engine accepts this)"


class TestActions:
    @pytest.mark.parametrize("state", ["CREATED", "QUEUING", "QUEUED", "PENDING", "FAILED"])
    def test_other_states_cannot_be_asked_for(self, env: AppEngineEnvironment, state: str) -> None:
        check(Run(env, "a").ask(state), 403, STATE, "unknown state in transition request")

    @pytest.mark.parametrize("state", ["running", "KILLED", "", 1, ["RUNNING"], {}])
    def test_another_word_is_refused(self, env: AppEngineEnvironment, state: Any) -> None:
        check(Run(env, "a").ask(state), 400, STATE, "unknown state in transition request", EMPTY)

    @pytest.mark.parametrize("body", [{}, {"desired": None}, {"other": "RUNNING"}])
    def test_no_state_is_a_null_pointer(self, env: AppEngineEnvironment, body: Any) -> None:
        run = Run(env, "a")
        response = env.request("POST", f"task-runs/{run.id}/state-actions", json=body)
        check(response, 500, BUNDLE, "Invalid bundle format", EMPTY)

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"RUNNING"', b"null"])
    def test_a_body_that_is_no_object_is_refused(self, env: AppEngineEnvironment, content: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        path = f"task-runs/{Run(env).id}/state-actions"
        response = env.request("POST", path, content=content, headers=headers)
        check(response, 400, STATE, "unknown state in transition request", EMPTY)

    def test_other_keys_are_ignored(self, env: AppEngineEnvironment) -> None:
        run = Run(env)
        path = f"task-runs/{run.id}/state-actions"
        response = env.request("POST", path, json={"desired": "RUNNING", "other": 1})
        check(response, 403, NO_PROVISIONS, "not provisioned")

    def test_an_unknown_run_is_not_found(self, env: AppEngineEnvironment) -> None:
        response = env.request("POST", f"task-runs/{UNKNOWN}/state-actions", json={"desired": "RUNNING"})
        check(response, 404, "APPE-internal-run-not-found-error", "Run not found.", EMPTY)

    @pytest.mark.parametrize("mode", [None, "a"])
    def test_a_run_that_was_not_started_cannot_finish(
        self, env: AppEngineEnvironment, mode: str | None
    ) -> None:
        check(Run(env, mode).ask("FINISHED"), 403, STATE, "run is in invalid state")


class TestLog:
    def test_it_is_what_the_program_wrote(self, env: AppEngineEnvironment) -> None:
        for mode in ("a", "fail"):
            run = Run(env, mode)
            run.finish()
            response = run.get("/logs")
            assert (response.status_code, response.text) == (200, f"mode {mode}\n")
            assert response.headers["content-type"] == "text/plain;charset=UTF-8"

    def test_a_run_that_was_not_started_has_none(self, env: AppEngineEnvironment) -> None:
        check(Run(env, "a").get("/logs"), 500, SERVER, "Server error.")

    def test_an_unknown_run_has_none(self, env: AppEngineEnvironment) -> None:
        check(env.get(f"task-runs/{UNKNOWN}/logs"), 500, SERVER, "Server error.")


class TestDeletion:
    def test_files_go_and_the_run_stays_readable(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        run.finish()
        response = run.delete()
        assert (response.status_code, response.content) == (200, b"")
        assert run.state == "FINISHED"
        assert env.service.manager.find_task(run.id) is None
        assert run.get("/inputs").json() == run.get("/outputs").json() == []
        assert_deviates(run.get("/outputs"), "deleted_values")
        check(run.get("/outputs.zip"), 403, NO_PROVISIONS, "provisions not found")
        check(run.get("/logs"), 500, SERVER, "Server error.")
        assert run.get("/output/names").status_code == 400
        assert run.delete().status_code == 200
        check(run.ask("RUNNING"), 403, STATE, "run is in invalid state")

    def test_a_run_that_is_not_started_can_be_deleted(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        assert run.delete().status_code == 200
        assert run.state == "PROVISIONED"

    def test_an_active_run_is_stopped(self, env: AppEngineEnvironment, programs: Programs) -> None:
        run = Run(env, "wait")
        run.ask("RUNNING")
        threading.Timer(0.1, programs.released.set).start()
        assert run.delete().status_code == 200
        programs.released.clear()
        assert env.service.manager.find_task(run.id) is None

    def test_an_unknown_run_is_an_error_of_the_server(self, env: AppEngineEnvironment) -> None:
        response = env.request("DELETE", f"task-runs/{UNKNOWN}")
        assert response.status_code == 500
        text = f'404 NOT_FOUND "Unable to find run with id: {UNKNOWN}"'
        assert response.json()["details"] == {"type": "server", "exceptionMessage": text}
        check(env.request("DELETE", "task-runs/1"), 400, BUNDLE, "Invalid bundle format", EMPTY)


class TestReopening:
    """A run that was started is provisioned again."""

    def test_a_run_that_is_active_goes_on_as_a_task_of_localrun(
        self, env: AppEngineEnvironment, programs: Programs
    ) -> None:
        run = Run(env, "wait")
        run.ask("RUNNING")
        assert run.put("mode", "a").status_code == 200
        assert run.state == "PROVISIONED"
        programs.released.set()
        former = env.service.manager.wait_for(run.id, 30)
        programs.released.clear()
        assert former is not None
        assert (former.state, former.inputs) == ("FINISHED", {"mode": "wait"})
        assert run.state == "PROVISIONED"

    def test_requests_at_the_same_time_share_a_new_task(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        run.finish()

        def put(name: str) -> None:
            body: dict[str, Any] = {"parameterName": name, "value": [] if name in ("left", "right") else 5}
            Provisioner(env.service, run.id, lambda _: None).put_value(name, body)

        names = ["left", "right", "extra", "number"]
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(put, names))
        assert len(env.service.get_run(run.id).attempts) == 1
        found = [one["parameterName"] for one in run.get("/inputs").json()]
        assert sorted(found) == ["extra", "left", "mode", "number", "right"]


class TestRestart:
    def test_provisioned_values_survive_and_partial_ones_are_deleted(self, tmp_path: Path) -> None:
        with serve_app_engine(tmp_path, Programs()) as env:
            env.task = env.upload(descriptor(INPUTS, {"names": "string"}))  # type: ignore[attr-defined]
            run = Run(env, "a")
            run.put("extra", None)
            before = run.get("/inputs").json()
            partial = env.service.app.store.open(run.id).uploads / ".input.1-0.localrun-tmp"
            partial.write_bytes(b"data")
            incoming = env.service.app.settings.home / "appengine/incoming/.form.1-0.localrun-tmp"
            incoming.mkdir(parents=True)
        with serve_app_engine(tmp_path, Programs()) as env:
            run.env = env
            assert (run.state, run.get("/inputs").json()) == ("PROVISIONED", before)
            assert not partial.exists()
            assert not incoming.exists()
            assert run.finish() == "FINISHED"
            assert run.get("/output/names").text == "extra mode"

    def test_a_run_shows_the_last_task_that_it_has(self, tmp_path: Path) -> None:
        with serve_app_engine(tmp_path, Programs()) as env:
            env.task = env.upload(descriptor(INPUTS, {"names": "string"}))  # type: ignore[attr-defined]
            run = Run(env, "a")
            run.finish()
            # a task was deleted with `localrun rm`, and another one is of a provision that was interrupted
            env.service.runs.set_attempts(env.service.get_run(run.id), [UNKNOWN])
            request = Request(env.service.get_task(env.task["id"]).bundle, held=True, detached=True)  # type: ignore[attr-defined]
            stray = env.service.manager.submit(request.replace(assigned_by="app-engine")).id
        with serve_app_engine(tmp_path, Programs()) as env:
            run.env = env
            assert run.state == "FINISHED"
            assert env.service.manager.find_task(stray) is None
            run.put("mode", "b")
            assert run.state == "PROVISIONED"


class TestTask:
    """A run is a task of localrun."""

    def test_its_inputs_can_be_downloaded_before_it_starts(self, env: AppEngineEnvironment) -> None:
        run = Run(env)
        run.put("extra", 7)
        assert env.client.get(f"/task/{run.id}/inputs/extra").content == b"7"

    def test_it_can_be_run_again(self, env: AppEngineEnvironment) -> None:
        run = Run(env, "a")
        files = [("file", ("a", png())), ("location", ("b", POINT.encode()))]
        env.request("POST", f"task-runs/{run.id}/input-provisions/image", files=files)
        run.finish()
        response = env.client.post(f"/task/{run.id}/rerun", json={})
        assert response.status_code == 200, response.text
        again = response.json()
        record = env.service.manager.wait_for(again["task_id"], 30)
        assert record is not None
        assert (record.state, record.outputs["names"]) == ("FINISHED", "extra image image.geojson mode")
        assert "notes" not in again or not again["notes"]
