"""The objects of tasks and the addresses of tasks, row by row of App Engine's contract."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.server.state import ServerState
from tests.support.app_engine_client import AppEngineEnvironment, assert_deviates, serve_app_engine
from tests.support.bundles import NAME, bundle, image, zip_of
from tests.support.environment import DESCRIPTOR
from tests.support.server_client import add

NOT_FOUND = {
    "errorCode": "APPE-internal-task-not-found",
    "message": "Task not found.",
    "details": {"type": "empty"},
}
HEAD, _, _ = DESCRIPTOR.partition("inputs:")
TASK = "tasks/com.example.add/1.0.0"


@pytest.fixture
def env(tmp_path: Path) -> Iterator[AppEngineEnvironment]:
    with serve_app_engine(tmp_path, add) as env:
        yield env


def test_an_uploaded_task_is_described_with_an_id(env: AppEngineEnvironment) -> None:
    task = env.upload()
    assert str(uuid.UUID(task["id"])) == task["id"]
    author = {"firstName": "A", "lastName": "B", "organization": "C", "email": "a@example.com"}
    assert task == {
        "id": task["id"],
        "name": "Add integers",
        "namespace": "com.example.add",
        "version": "1.0.0",
        "description": None,
        "authors": [{**author, "isContact": True}],
    }
    assert env.get("tasks").json() == [task]
    assert env.get(f"tasks/{task['id']}").json() == task
    assert env.get(f"tasks/{task['id'].upper()}").json() == task
    assert env.get(TASK).json() == task


def test_a_description_is_shown(env: AppEngineEnvironment) -> None:
    assert env.upload(DESCRIPTOR + "description: Adds.\n")["description"] == "Adds."


def test_tasks_are_listed_in_the_order_of_their_upload(env: AppEngineEnvironment) -> None:
    versions = ["1.0.0", "0.9.0", "1.0.1"]
    tasks = [env.upload(DESCRIPTOR.replace("1.0.0", version)) for version in versions]
    assert env.get("tasks").json() == tasks
    assert [task["version"] for task in tasks] == versions


# each row: the type in the descriptor, more keys of the parameter, the shown type, and the shown default
TYPES: list[tuple[str, str, dict[str, Any], str]] = [
    ("boolean", ", default: true", {"id": "boolean"}, "true"),
    ("geometry", "", {"id": "geometry"}, "null"),
    ("integer", ", default: 3", {"id": "integer"}, "3"),
    ("{id: integer, gt: 1, lt: 9}", "", {"id": "integer", "gt": 1, "lt": 9}, "null"),
    ("{id: integer, geq: 1, leq: 9}", "", {"id": "integer", "geq": 1, "leq": 9}, "null"),
    (
        "number",
        ", default: 2.5",
        {"id": "number", "infinityAllowed": False, "nanAllowed": False},
        "2.5",
    ),
    (
        "{id: number, gt: 1, leq: 2.5, nan_allowed: true}",
        "",
        {"id": "number", "gt": 1.0, "leq": 2.5, "infinityAllowed": False, "nanAllowed": True},
        "null",
    ),
    ("string", ", default: text", {"id": "string", "minLength": 0}, "text"),
    (
        "{id: string, min_length: 2, max_length: 5}",
        "",
        {"id": "string", "minLength": 2, "maxLength": 5},
        "null",
    ),
    (
        "{id: enumeration, values: [b, a]}",
        ", default: a",
        {"id": "enumeration", "values": ["b", "a"]},
        "a",
    ),
    ("datetime", "", {"id": "datetime"}, "null"),
    ("file", "", {"id": "file", "formats": None}, "null"),
    ("{id: file, formats: [text]}", "", {"id": "file", "formats": ["text"]}, "null"),
    (
        "{id: image, formats: [png, tiff], max_width: 9, max_file_size: 1MB}",
        "",
        {"id": "image", "formats": ["png", "tiff"]},
        "null",
    ),
    (
        "{id: array, subtype: integer}",
        ", default: [{index: 0, value: 1}]",
        {"id": "array", "subType": {"id": "integer"}},
        '[{"index":0,"value":1}]',
    ),
    (
        "number",
        ", default: 1.0e+10",
        {"id": "number", "infinityAllowed": False, "nanAllowed": False},
        "1.0E10",
    ),
    (
        "{id: array, min_size: 1, max_size: 3, subtype: {id: array, subtype: geometry}}",
        "",
        {
            "id": "array",
            "minSize": 1,
            "maxSize": 3,
            "subType": {"id": "array", "subType": {"id": "geometry"}},
        },
        "null",
    ),
]


def test_inputs_and_outputs_are_described_with_their_types_and_defaults(env: AppEngineEnvironment) -> None:
    inputs = "".join(
        f"  p{number}: {{type: {kind}{more}, description: d{number}, display_name: D{number}}}\n"
        for number, (kind, more, _, _) in enumerate(TYPES)
    )
    outputs = "".join(
        f"  q{number}: {{type: {kind}, description: d{number}, display_name: D{number}}}\n"
        for number, (kind, _, _, _) in enumerate(TYPES)
    )
    task = env.upload(f"{HEAD}inputs:\n{inputs}outputs:\n{outputs}")
    by_id, by_name = f"tasks/{task['id']}", TASK
    found = env.get(f"{by_id}/inputs").json()
    assert found == env.get(f"{by_name}/inputs").json()
    assert len({str(uuid.UUID(one["id"])) for one in found}) == len(TYPES)
    assert [{key: value for key, value in one.items() if key != "id"} for one in found] == [
        {
            "default": default,
            "name": f"p{number}",
            "display_name": f"D{number}",
            "description": f"d{number}",
            "optional": False,
            "type": shown,
        }
        for number, (_, _, shown, default) in enumerate(TYPES)
    ]
    found = env.get(f"{by_id}/outputs").json()
    assert found == env.get(f"{by_name}/outputs").json()
    assert [{key: value for key, value in one.items() if key != "id"} for one in found] == [
        {
            "name": f"q{number}",
            "displayName": f"D{number}",
            "description": f"d{number}",
            "optional": False,
            "type": shown,
            "derivedFrom": None,
        }
        for number, (_, _, shown, _) in enumerate(TYPES)
    ]


def test_an_optional_input_and_a_derived_output_are_shown_as_such(env: AppEngineEnvironment) -> None:
    text = DESCRIPTOR.replace("display_name: A}", "display_name: A, optional: true}")
    text = text.replace(
        "display_name: Sum}", "display_name: Sum, optional: true, dependencies: {derived_from: inputs/b}}"
    )
    env.upload(text)
    assert [one["optional"] for one in env.get(f"{TASK}/inputs").json()] == [True, False]
    (output,) = env.get(f"{TASK}/outputs").json()
    assert (output["optional"], output["derivedFrom"]) == (False, "b")


def test_the_ids_of_parameters_stay(tmp_path: Path) -> None:
    with serve_app_engine(tmp_path) as env:
        env.upload()
        before = env.get(f"{TASK}/inputs").json()
    with serve_app_engine(tmp_path) as env:
        assert env.get(f"{TASK}/inputs").json() == before


@pytest.mark.parametrize("address", ["id", "name"])
def test_the_descriptor_is_sent_as_it_was_uploaded(env: AppEngineEnvironment, address: str) -> None:
    task = env.upload(DESCRIPTOR + "# the end")
    path = TASK if address == "name" else f"tasks/{task['id']}"
    response = env.get(f"{path}/descriptor.yml")
    assert response.content == (DESCRIPTOR + "# the end").encode()
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == 'attachment; filename="descriptor.yml"'


def test_a_file_is_sent_in_ranges(env: AppEngineEnvironment) -> None:
    env.upload()
    response = env.get(f"{TASK}/descriptor.yml", headers={"Range": "bytes=0-3"})
    assert (response.status_code, response.content) == (206, DESCRIPTOR.encode()[:4])
    assert response.headers["content-range"] == f"bytes 0-3/{len(DESCRIPTOR)}"
    assert env.get(f"{TASK}/descriptor.yml", headers={"Range": "bytes=99999-"}).status_code == 416


@pytest.mark.parametrize("name", ["logo.png", "LOGO.PNG"])
def test_the_logo_of_a_bundle_is_sent(env: AppEngineEnvironment, tmp_path: Path, name: str) -> None:
    members = {"descriptor.yml": DESCRIPTOR.encode(), name: b"\x89PNG", NAME: image()}
    assert env.upload_file(zip_of(tmp_path / "with_logo.zip", members)).status_code == 200
    response = env.get(f"{TASK}/logo")
    assert response.content == b"\x89PNG"
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == 'attachment; filename="logo.png"'


def test_a_task_without_a_logo_is_an_error_of_the_server(env: AppEngineEnvironment) -> None:
    env.upload()
    response = env.get(f"{TASK}/logo")
    assert response.status_code == 500
    assert response.json() == {
        "errorCode": "APPE-internal-logo-not-found",
        "message": "no logo found in storage",
        "details": {"type": "empty"},
    }


def test_the_bundle_of_a_task_is_sent_as_from_a_store(env: AppEngineEnvironment, tmp_path: Path) -> None:
    path = bundle(tmp_path)
    env.upload_file(path)
    response = env.get(f"{TASK}/bundle.zip")
    assert response.content == path.read_bytes()
    assert_deviates(response, "bundle_zip")


UNKNOWN = str(uuid.UUID(int=1))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"tasks/{UNKNOWN}/runs"), ("DELETE", "tasks/x/inputs")]  # of a namespace and a version
    + [
        (method, f"tasks/{task}{rest}")
        for task in (UNKNOWN, "com.example.add/1.0.1", "com.example.add/latest")
        for method, rest in (
            ("GET", ""),
            ("GET", "/inputs"),
            ("GET", "/outputs"),
            ("GET", "/descriptor.yml"),
            ("POST", "/runs"),
        )
    ]
    + [
        (method, f"tasks/com.example/1.0.0{rest}")
        for method, rest in (("DELETE", ""), ("GET", "/logo"), ("GET", "/runs"), ("GET", "/bundle.zip"))
    ],
)
def test_an_unknown_task_is_not_found(env: AppEngineEnvironment, method: str, path: str) -> None:
    env.upload()
    response = env.request(method, path)
    assert (response.status_code, response.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize("path", ["", "/inputs", "/outputs", "/descriptor.yml"])
@pytest.mark.parametrize("task_id", ["x", "123e4567e89b12d3a456426614174000", "../tasks"])
def test_an_id_that_is_not_a_uuid_is_refused(env: AppEngineEnvironment, path: str, task_id: str) -> None:
    response = env.get(f"tasks/{task_id.replace('/', '%2F')}{path}")
    if "/" not in task_id:
        assert response.status_code == 400
        assert response.json() == {
            "errorCode": "APPE-internal-bundle-validation-error",
            "message": "Invalid bundle format",
            "details": {"type": "empty"},
        }
    assert response.status_code in (400, 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"tasks/{UNKNOWN}"),
        ("GET", "nothing"),
        ("GET", ""),
        ("PATCH", "tasks"),
        ("PUT", TASK),
        ("GET", "../actuator/health"),
    ],
)
def test_an_address_or_method_that_does_not_exist_is_an_error_of_the_server(
    env: AppEngineEnvironment, method: str, path: str
) -> None:
    response = env.request(method, path)
    found = response.json()
    if "actuator" in path:
        assert response.status_code == 404  # it is not below the prefix
        return
    assert response.status_code == 500
    assert (found["errorCode"], found["message"]) == ("APPE-internal-server-error", "Server error.")
    assert (found["details"]["type"], set(found["details"])) == ("server", {"type", "exceptionMessage"})


# -- runs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["id", "name"])
def test_a_run_is_created_without_a_body_and_is_a_task_of_localrun(
    env: AppEngineEnvironment, address: str
) -> None:
    task = env.upload()
    path = TASK if address == "name" else f"tasks/{task['id']}"
    response = env.request("POST", f"{path}/runs", headers={"Content-Type": "application/json"})
    assert response.status_code == 200
    run = response.json()
    assert run == {"id": str(uuid.UUID(run["id"])), "task": task, "state": "CREATED"}
    assert env.get(f"{TASK}/runs").json() == [run]
    record = env.client.get(f"/task/{run['id']}").json()["task"]
    assert (record["state"], record["name"]) == ("CREATED", "Add integers")
    assert run["id"] in [one["id"] for one in env.client.get("/tasks").json()["tasks"]]
    events = env.server.lines("task_created")
    assert run["id"] in [event["data"]["task_id"] for event in events]


def test_no_run_is_created_of_a_task_without_inputs(env: AppEngineEnvironment) -> None:
    _, _, outputs = DESCRIPTOR.partition("outputs:")
    task = env.upload(f"{HEAD}inputs: {{}}\noutputs:{outputs}")
    response = env.request("POST", f"tasks/{task['id']}/runs")
    assert (response.status_code, response.json()) == (404, NOT_FOUND)
    assert env.get(f"{TASK}/runs").json() == []


def test_runs_of_one_task_are_listed_in_the_order_of_their_creation(env: AppEngineEnvironment) -> None:
    task, other = env.upload(), env.upload(DESCRIPTOR.replace("1.0.0", "2.0.0"))
    runs = [env.create_run(task) for _ in range(3)]
    env.create_run(other)
    assert env.get(f"{TASK}/runs").json() == runs


def test_a_run_that_was_killed_is_shown_as_failed(env: AppEngineEnvironment) -> None:
    run = env.create_run(env.upload())
    manager = env.service.manager
    manager.kill_task(run["id"])
    manager.wait_for(run["id"], 30)
    assert [one["state"] for one in env.get(f"{TASK}/runs").json()] == ["FAILED"]


def test_a_run_whose_task_was_removed_here_is_not_listed(env: AppEngineEnvironment) -> None:
    run = env.create_run(env.upload())["id"]
    env.service.manager.kill_task(run)
    env.service.manager.wait_for(run, 30)
    env.service.app.remove(run)
    assert env.get(f"{TASK}/runs").json() == []


# -- deletion -----------------------------------------------------------------------------------------


def test_a_task_is_deleted_with_its_runs(env: AppEngineEnvironment) -> None:
    task, kept = env.upload(), env.upload(DESCRIPTOR.replace("1.0.0", "2.0.0"))
    runs = [env.create_run(task)["id"] for _ in range(2)]
    env.start_run(runs[0], a=1, b=2)
    env.service.manager.wait_for(runs[0], 30)
    other = env.create_run(kept)
    response = env.request("DELETE", TASK)
    assert (response.status_code, response.content) == (200, b"")
    assert env.get("tasks").json() == [kept]
    assert env.get(TASK).status_code == 404
    assert [env.client.get(f"/task/{run}").status_code for run in runs] == [404, 404]
    assert env.get("tasks/com.example.add/2.0.0/runs").json() == [other]
    folders = (env.service.app.settings.home / "appengine" / "tasks").iterdir()
    assert [path.name for path in folders] == [kept["id"]]
    assert env.request("DELETE", TASK).status_code == 404


def test_a_deleted_task_can_be_uploaded_again_with_a_new_id(env: AppEngineEnvironment) -> None:
    before = env.upload()
    env.request("DELETE", TASK)
    assert env.upload()["id"] != before["id"]


# -- persistence --------------------------------------------------------------------------------------


def test_tasks_and_runs_survive_a_restart(tmp_path: Path) -> None:
    with serve_app_engine(tmp_path, add) as env:
        task = env.upload()
        created, provisioned = env.create_run(task)["id"], env.create_run(task)["id"]
        env.service.manager.held.note(provisioned, [], {"a": 3, "b": 4})
        env.service.runs.mark_deleted(env.service.get_run(env.create_run(task)["id"]), "FINISHED")
        before = env.get(f"{TASK}/runs").json()
    with serve_app_engine(tmp_path, add) as env:
        assert env.get("tasks").json() == [task]
        found = env.get(f"{TASK}/runs").json()
        assert found == before
        assert [one["state"] for one in found] == ["CREATED", "PROVISIONED", "FINISHED"]
        for run in (created, provisioned):
            env.start_run(run, a=3, b=4)
            record = env.service.manager.wait_for(run, 30)
            assert record is not None
            assert record.outputs == {"sum": 7}


def test_what_a_dead_process_has_begun_is_finished_at_the_start(tmp_path: Path) -> None:
    with serve_app_engine(tmp_path, add) as env:
        service, task = env.service, env.upload()
        deleted = env.create_run(task)["id"]
        service.runs.mark_deleted(service.get_run(deleted), "CREATED")
        never_created = service.runs.create(task["id"])
        service.runs._save(never_created.replace(created=never_created.created - 3600))
        being_created = service.runs.create(task["id"])
        orphan = env.create_run(env.upload(DESCRIPTOR.replace("1.0.0", "2.0.0")))["id"]
        service.tasks.remove(service.find_task("com.example.add", "2.0.0"))
    with serve_app_engine(tmp_path, add) as env:
        assert env.get(f"{TASK}/runs").json() == [{"id": deleted, "task": task, "state": "CREATED"}]
        assert env.service.runs.get(never_created.id) is None
        assert env.service.runs.get(being_created.id) == being_created
        assert env.service.runs.get(orphan) is None
        assert env.client.get("/tasks").json()["tasks"] == []


def test_a_second_server_of_the_folder_sees_the_tasks(env: AppEngineEnvironment) -> None:
    state = ServerState(env.service.app, env.server.site.options)
    assert state.app_engine.tasks.all() == []
    task = env.upload()
    assert [one.id for one in state.app_engine.tasks.all()] == [task["id"]]
    env.request("DELETE", TASK)
    assert state.app_engine.tasks.all() == []


# -- the same tasks in localrun's own API --------------------------------------------------------------


def test_an_uploaded_task_is_a_bundle_of_localruns_own_api(env: AppEngineEnvironment) -> None:
    task = env.upload()
    name = "com.example.add:1.0.0"

    def references() -> list[str]:
        return [one["reference"] for one in env.client.get("/bundle").json()["bundles"]]

    assert name in references()
    task_id = env.server.post({"bundle": name, "inputs": {"a": 3, "b": 4}})["task_id"]
    assert env.server.wait(task_id)["outputs"] == {"sum": 7}
    run = env.create_run(task)["id"]
    env.service.manager.kill_task(run)
    env.server.wait(run)
    details = env.client.get(f"/task/{run}/view").json()
    assert details["submission"]["bundle"] == name
    env.request("DELETE", TASK)
    assert name not in references()


def test_a_bundle_of_the_same_name_in_localruns_own_api_is_another_one(
    env: AppEngineEnvironment, tmp_path: Path
) -> None:
    env.upload()
    path = bundle(tmp_path, descriptor=DESCRIPTOR + "# another")
    assert env.client.post("/bundle", content=path.read_bytes()).status_code == 200
    store = env.server.site.bundle_store
    assert store.find_bundle("com.example.add:1.0.0").parent == store.uploads
    assert store.reference(env.service.find_task("com.example.add", "1.0.0").bundle) is None


def test_a_run_that_was_not_started_says_what_it_waits_for(env: AppEngineEnvironment) -> None:
    run = env.create_run(env.upload())["id"]

    def shown() -> tuple[str, str]:
        row = next(one for one in env.client.get("/tasks").json()["tasks"] if one["id"] == run)
        task = env.client.get(f"/task/{run}").json()["task"]
        assert row["message"] == task["message"]
        return task["state"], task["message"]

    assert shown() == ("CREATED", "waiting for inputs: a, b")
    for name, state, message in (
        ("a", "CREATED", "waiting for inputs: b"),
        ("b", "PROVISIONED", "waiting for a request to start it"),
    ):
        value = {"parameterName": name, "value": 3}
        assert env.request("PUT", f"task-runs/{run}/input-provisions/{name}", json=value).status_code == 200
        assert shown() == (state, message)
    answer = env.client.get(f"/task/{run}/outputs")
    assert answer.status_code == 409
    assert answer.json()["hint"] == "waiting for a request to start it with App Engine's API"
    assert env.client.put(f"/task/{run}/inputs/a", content=b"3").status_code == 409
