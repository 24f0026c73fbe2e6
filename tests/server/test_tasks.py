from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from localrun.app import App
from localrun.engines.fake import FakeContainer
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import RESERVED_IDS
from tests.support.server_client import ServerEnvironment, add, live, serve_environment
from tests.support.waiting import until


def types(answer: Any) -> list[tuple[str, list[Any]]]:
    return [(item["type"], item["loc"]) for item in answer["detail"]]


def test_a_free_form_task_is_made_with_the_documented_keys(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        found = env.post({"type": "test"})
    expected = {"status": "task_created", "assigned_by": "ray", "task": {"type": "test"}}
    assert expected.items() <= found.items()
    assert found["message"] == f"Task {found['task_id']} created and added to global task list"
    assert found["timestamp"].endswith("+00:00")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", [("missing", ["body", "task"]), ("missing", ["body", "assigned_by"])]),
        (b'{"task": {}}', [("missing", ["body", "assigned_by"])]),
        (b'{"task": {}, "assigned_by": null}', [("string_type", ["body", "assigned_by"])]),
        (b'{"task": {}, "assigned_by": 5}', [("string_type", ["body", "assigned_by"])]),
        (b'{"task": "x", "assigned_by": "x"}', [("dict_type", ["body", "task"])]),
        (b'{"task": null, "assigned_by": "x"}', [("dict_type", ["body", "task"])]),
        (b'{"task": [], "assigned_by": "x"}', [("too_short", ["body", "task"])]),
        (b'{"task": [{}, 1], "assigned_by": "x"}', [("dict_type", ["body", "task", 1])]),
        (b"{a", [("json_invalid", ["body", 1])]),
        (b"\xff", [("json_invalid", ["body", 0])]),
        (b'{"task": {"a": NaN}}', [("json_invalid", ["body", 0])]),
        (b"[" * 200_000, [("json_invalid", ["body", 0])]),
        (b"", [("missing", ["body"])]),
        (b"[]", [("model_type", ["body"])]),
    ],
)
def test_what_does_not_fit_is_told_as_in_the_guides_world_and_noted(
    tmp_path: Path, body: bytes, expected: Any
) -> None:
    with serve_environment(tmp_path) as env:
        response = env.client.post("/task", content=body)
        assert (response.status_code, types(response.json())) == (422, expected)
        assert [line["data"]["status"] for line in env.lines("request_rejected")] == [422]
        assert env.lines("task_requested") == []
        assert env.client.get("/task/list").json()["active_tasks"] == []


def test_json_is_understood_whatever_its_content_type(tmp_path: Path) -> None:
    body = b'{"task": {}, "assigned_by": ""}'
    with serve_environment(tmp_path) as env:
        for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
            assert env.client.post("/task", content=body, headers={"content-type": kind}).status_code == 200


def test_a_task_that_names_a_bundle_runs_and_is_found_after_its_end(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add) as env:
        task_id = env.run(a=3, b=4)
        env.wait(task_id)
        found = env.client.get(f"/task/{task_id}").json()
        assert found["status"] == "success"
        assert found["task"]["state"] == "FINISHED"
        assert found["task"]["outputs"] == {"sum": 7}
        assert found["task"]["processing_time_ms"] > 0
        assert env.client.get("/task/list").json()["active_tasks"] == []


def test_a_task_that_names_an_image_runs_its_command_with_its_environment(tmp_path: Path) -> None:
    seen: list[FakeContainer] = []
    with serve_environment(tmp_path, seen.append) as env:
        task = {"image": env.env.image, "command": ["echo", "hi"], "env": {"MODE": "fast"}}
        found = env.wait(env.post(task)["task_id"])
    assert found["state"] == "FINISHED"
    assert seen[0].command[-2:] == ("echo", "hi")
    assert seen[0].environment["MODE"] == "fast"


def test_every_key_that_is_unknown_or_ill_typed_is_told_with_its_path(tmp_path: Path) -> None:
    task = {"bundle": "descriptor.yml", "inptus": {}, "timeout": "soon", "resources": {"cpus": -1}}
    with serve_environment(tmp_path) as env:
        response = env.client.post("/task", json={"task": task, "assigned_by": "ray"})
    assert response.status_code == 422
    places = [item["loc"] for item in response.json()["detail"]]
    assert places == [
        ["body", "task", "inptus"],
        ["body", "task", "timeout"],
        ["body", "task", "resources", "cpus"],
    ]


def test_a_wrong_input_is_told_with_its_path_and_remedy(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        response = env.client.post("/task", json={"task": env.bundle(a="x", b=1), "assigned_by": "ray"})
        assert response.status_code == 422
        (item,) = response.json()["detail"]
        assert item["loc"] == ["body", "task", "inputs", "a"]
        assert "integer" in item["msg"]
        assert env.client.get("/task/status").json()["task_manager"]["total_tasks_processed"] == 0


@pytest.mark.parametrize("name", ["../descriptor.yml", "/etc", "nowhere", "link"])
def test_no_bundle_outside_the_roots_can_be_named(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link").symlink_to(tmp_path)
    with serve_environment(tmp_path, bundles=(inner,)) as env:
        response = env.client.post("/task", json={"task": {"bundle": name}, "assigned_by": "ray"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["type"] == "bundle_invalid"


def test_a_task_that_can_never_fit_is_refused_at_once(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        task = {**env.bundle(a=1, b=2), "resources": {"memory": "900Ti"}}
        response = env.client.post("/task", json={"task": task, "assigned_by": "ray"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["type"] == "memory_unavailable"


def test_a_list_is_a_batch_whose_tasks_stand_each_for_itself(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        found = env.post([{"n": 1}, {"bundle": "nowhere"}, {"n": 2}])
        listed = env.client.get("/task/list").json()["active_tasks"]
    assert found["status"] == "batch_processed"
    assert (found["total_tasks"], found["created_count"], found["failed_count"]) == (3, 2, 1)
    assert [task["task"] for task in found["created_tasks"]] == [{"n": 1}, {"n": 2}]
    assert found["failed_tasks"][0]["task_index"] == 1
    assert [task["task_id"] for task in listed] == [task["task_id"] for task in found["created_tasks"]]


@pytest.mark.parametrize(
    "task", [{"n": 1}, {"profile": "iexec", "note": "an app of another form", "app_secret": "hush"}]
)
def test_the_same_put_makes_one_task_also_after_its_end(tmp_path: Path, task: dict[str, Any]) -> None:
    body = {"task": task, "assigned_by": "ray"}
    with serve_environment(tmp_path) as env:
        answers = [env.client.put("/task/mine-0001", json=body).json() for _ in range(2)]
        assert answers[0] == answers[1]
        env.client.post("/task/mine-0001/complete")
        assert env.client.put("/task/mine-0001", json=body).json()["state"] == "FINISHED"
        other = env.client.put("/task/mine-0001", json={**body, "task": {"n": 2}})
        assert other.status_code == 409
        assert len(env.lines("task_created")) == 1


@pytest.mark.parametrize("task_id", ["list", "status", "last"])
def test_an_id_that_is_a_word_of_a_path_is_refused(tmp_path: Path, task_id: str) -> None:
    with serve_environment(tmp_path) as env:
        found = env.client.put(f"/task/{task_id}", json={"task": {"n": 1}, "assigned_by": "ray"})
        assert found.status_code == 422
        assert "reserved" in found.text
        assert env.lines("task_created") == []


def test_every_word_that_follows_task_in_a_path_is_reserved() -> None:
    from localrun.server.routes import tasks

    paths = [route.path.split("/") for route in tasks.router.routes]  # type: ignore[attr-defined]
    words = {parts[2] for parts in paths if len(parts) > 2 and "{" not in parts[2]}
    assert words == {"list", "status"}
    assert words <= set(RESERVED_IDS)


def test_tasks_are_listed_by_state_and_assignee_page_by_page(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        ids = [env.post({"n": n}, "ray" if n % 2 else "eve")["task_id"] for n in range(4)]
        env.client.post(f"/task/{ids[0]}/complete")

        def listed(**query: Any) -> list[str]:
            found = env.client.get("/task/list", params=query).json()
            return [task["task_id"] for task in found["active_tasks"] + found["completed_tasks"]]

        assert listed() == ids[1:]
        assert listed(assigned_by="ray") == [ids[1], ids[3]]
        assert listed(state="ended") == listed(state="FINISHED") == ids[:1]
        assert listed(limit=2) == ids[1:3]
        assert listed(limit=2, after=ids[2]) == ids[3:]
        assert listed(state="CREATED", assigned_by="eve") == [ids[2]]
        assert env.client.get("/task/list", params={"after": "no"}).status_code == 404
        assert env.client.get("/task/list", params={"limit": 0}).status_code == 422
        assert all(listed(state=state) is not None for state in TaskState)
        (problem,) = env.client.get("/task/list", params={"state": "FINISHD"}).json()["detail"]
        assert (problem["loc"], "'KILLED'" in problem["msg"]) == (["query", "state"], True)


def test_status_counts_active_and_completed_and_names_the_engine(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        first = env.post({})["task_id"]
        env.post({})
        env.client.post(f"/task/{first}/complete")
        found = env.client.get("/task/status").json()
    assert found["status"] == "operational"
    counts = {"active_tasks_count": 1, "completed_tasks_count": 1, "total_tasks_processed": 2}
    assert counts.items() <= found["task_manager"].items()
    assert found["engine"]["available"] is True


def test_a_task_that_is_not_there_is_404_in_the_guides_words(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        for path in ("", "/logs", "/events", "/outputs", "/outputs/x", "/wait"):
            response = env.client.get(f"/task/nope{path}")
            assert (response.status_code, response.json()) == (404, {"detail": "Task nope not found"})
        assert env.client.get("/nowhere").status_code == 404
        assert env.client.get("/task").status_code == 405
        assert len(env.lines("request_rejected")) == 8


def test_a_refusal_that_only_repeats_itself_does_not_push_errors_out_of_sight(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        for _ in range(5):
            env.client.get("/task/nope")
        assert len(env.lines("request_rejected")) == 1
        assert len(env.lines("request_rejected", volatile=True)) == 4


def test_a_task_is_completed_with_a_result_and_only_once(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        task_id = env.post({})["task_id"]
        found = env.client.post(f"/task/{task_id}/complete", json={"result": {"mood": "good"}}).json()
        assert (found["task"]["status"], found["task"]["result"]) == ("completed", {"mood": "good"})
        assert env.client.post(f"/task/{task_id}/complete").status_code == 409
        assert [line["data"]["task_id"] for line in env.lines("task_completed")] == [task_id]


def test_completing_a_task_that_is_not_there_is_a_task_error(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        assert env.client.post("/task/nope/complete").status_code == 404
        (line,) = env.lines("task_error")
    assert line["data"]["error"] == "Task not found for completion"
    assert line["metadata"] == {"task_id": "nope", "error_type": "task_not_found"}


def test_a_task_with_a_container_cannot_be_completed_by_hand(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        task_id = env.run(a=1)
        assert env.client.post(f"/task/{task_id}/complete").status_code == 409


def test_a_running_task_is_killed_and_the_answer_tells_its_end(tmp_path: Path) -> None:
    started = threading.Event()

    def hang(container: FakeContainer) -> int:
        started.set()
        container.stopped.wait()
        return 143

    with serve_environment(tmp_path, hang) as env:
        task_id = env.run(a=1, b=2)
        assert started.wait(60)
        assert env.client.get("/heartbeat").json()["in_task"] is True
        found = env.client.post(f"/task/{task_id}/kill", params={"grace": 1}).json()
        assert (found["task"]["state"], found["task"]["status"]) == ("KILLED", "cancelled")
        assert env.client.post(f"/task/{task_id}/kill").status_code == 409


def test_waiting_ends_with_the_task_or_with_the_time(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        task_id = env.post({})["task_id"]
        early = env.client.get(f"/task/{task_id}/wait", params={"timeout": 0}).json()
        assert (early["ended"], early["task"]["state"]) == (False, "CREATED")
        answers: list[Any] = []
        waiter = threading.Thread(target=lambda: answers.append(env.wait(task_id)))
        waiter.start()
        env.client.post(f"/task/{task_id}/complete")
        waiter.join(60)
    assert answers[0]["state"] == "FINISHED"


def test_what_a_task_waits_for_is_told_in_its_own_view(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        task_id = env.run(a=1)
        found = env.client.get(f"/task/{task_id}").json()["task"]
    assert (found["state"], found["message"]) == ("CREATED", "waiting for inputs: b")


def test_all_lines_of_one_request_carry_its_id_and_the_tasks(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        task_id = env.post({"x": 1})["task_id"]
        lines = env.lines()
    kinds = ["task_requested", "task_created", "module_call", "outgoing_response"]
    assert [line["event_type"] for line in lines] == kinds
    assert {line["data"]["task_id"] for line in lines} == {task_id}
    assert len({line["request_id"] for line in lines}) == 1
    assert len(lines[0]["request_id"]) == 8


def test_the_name_of_an_event_is_found_once_for_each_task(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        for _ in range(3):
            env.post({"type": "task_created"})
    text = (tmp_path / "logs" / "heartbeat_detailed.jsonl").read_text()
    assert sum("task_created" in line for line in text.splitlines()) == 3


def test_secrets_in_a_task_are_not_written_to_the_logs(tmp_path: Path) -> None:
    with serve_environment(
        tmp_path, headers={"authorization": "Bearer tok-123456"}, token="tok-123456"
    ) as env:
        env.post({"password": "hunter22", "note": "it is tok-123456"})
    text = "".join(path.read_text() for path in (tmp_path / "logs").glob("heartbeat_*"))
    assert "hunter22" not in text
    assert "tok-123456" not in text


def test_the_heartbeat_has_the_keys_of_the_guide_and_pushes_nothing_out_of_sight(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        env.post({})
        found = env.client.get("/heartbeat").json()
        until(lambda: env.lines("heartbeat", volatile=True))  # a thread of the server writes it
        kinds = {line["event_type"] for line in env.lines(volatile=True)}
    assert {"type": "heartbeat", "in_task": False, "status": "alive"}.items() <= found.items()
    assert found["last_server_action"] == "create_task"
    assert set(found["host"]) == {"cpu_percent", "memory_percent", "disk_percent"}
    assert {"incoming_get", "outgoing_response"} <= kinds


def test_an_unknown_action_of_a_heartbeat_is_told(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        found = env.client.post("/heartbeat", json={"action": "dance"}).json()
        assert env.client.post("/heartbeat", json={}).status_code == 422
    assert (found["status"], found["error"]) == ("unknown_action", "Unknown action: dance")


@pytest.mark.parametrize(
    ("method", "ask", "words"),
    [
        (
            "create_task",
            lambda env: env.client.post("/task", json={"task": {}, "assigned_by": "x"}),
            "Failed to create task: boom",
        ),
        ("get_status", lambda env: env.client.get("/task/status"), "Failed to get status: boom"),
        ("find_task", lambda env: env.client.get("/task/x"), "Failed to get task: boom"),
    ],
)
def test_a_bug_of_ours_is_answered_and_noted_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, ask: Any, words: str
) -> None:
    def boom(*_: Any, **__: Any) -> None:
        raise RuntimeError("boom")

    with serve_environment(tmp_path) as env, monkeypatch.context() as patch:
        patch.setattr(env.env.app.manager, method, boom)
        response = ask(env)
        assert (response.status_code, response.json()) == (500, {"detail": words})
    assert "RuntimeError: boom" in (tmp_path / "logs" / "heartbeat_errors.log").read_text()


def test_ended_tasks_are_not_all_kept_in_memory_and_the_oldest_is_still_found(tmp_path: Path) -> None:
    with serve_environment(tmp_path, settings={"keep_completed": 3}) as env:
        ids = [env.post({})["task_id"] for _ in range(6)]
        for task_id in ids:
            env.client.post(f"/task/{task_id}/complete")
        listed = env.client.get("/task/list", params={"state": "ended"}).json()["completed_tasks"]
        assert [task["task_id"] for task in listed] == ids[3:]
        assert env.client.get(f"/task/{ids[0]}").json()["task"]["state"] == "FINISHED"
        assert env.client.get("/task/status").json()["task_manager"]["completed_tasks_count"] == 6


def test_a_server_that_shuts_down_says_so_and_not_that_the_request_is_wrong(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add) as env:
        waiting = env.run(a=3)
        env.site.app.manager.shutdown(on_exit="leave")
        body = {"task": {}, "assigned_by": "ray"}
        answers = [
            env.client.post("/task", json=body),
            env.client.put("/task/mine", json=body),
            env.client.put(f"/task/{waiting}/inputs/b", content=b"4"),
        ]
        assert [answer.status_code for answer in answers] == [503, 503, 503]
        assert all("shutting down" in answer.json()["detail"] for answer in answers)
        paths = env.client.get("/openapi.json").json()["paths"]
        for path, method in (
            ("/task", "post"),
            ("/task/{task_id}", "put"),
            ("/task/{task_id}/inputs/{name}", "put"),
        ):
            assert "shutting down" in paths[path][method]["responses"]["503"]["description"]


@pytest.mark.parametrize("kind", ["free", "bundle"])
def test_the_same_task_asked_for_many_times_at_once_is_one_task(tmp_path: Path, kind: str) -> None:
    with serve_environment(tmp_path, add) as env, live(env.site) as address:
        body = {"task": {} if kind == "free" else env.bundle(a=3, b=4), "assigned_by": "ray"}

        def put(_: int) -> tuple[int, str]:
            answer = requests.put(f"{address}/task/mine", json=body, timeout=120)
            return answer.status_code, answer.json().get("task_id")

        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(put, range(24))) == {(200, "mine")}
        assert [len(env.lines(kind)) for kind in ("task_requested", "task_created")] == [1, 1]


def meanwhile(env: ServerEnvironment, monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]) -> None:
    """Do something while the server waits for the record of a task that another server is creating."""
    manager = env.site.app.manager
    find, looks = manager.find_task, count()

    def look(task_id: str) -> TaskRecord | None:
        if next(looks) == 4:
            deed()
        return find(task_id)

    monkeypatch.setattr(manager, "find_task", look)


def test_the_same_task_asked_of_two_servers_of_one_folder_is_one_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_environment(tmp_path, add) as env:
        body = {"task": {"n": 1}, "assigned_by": "ray"}
        # another server has created the folder, but not yet the record
        other = env.site.app.store.create("mine")
        record = TaskRecord(id="mine", bundle="", submitted={"n": 1}, assigned_by="ray")
        meanwhile(env, monkeypatch, lambda: other.save(record))
        answer = env.client.put("/task/mine", json=body)
        assert (answer.status_code, answer.json()["task_id"]) == (200, "mine")
        assert env.client.put("/task/mine", json={**body, "task": {"n": 2}}).status_code == 409


def test_an_id_whose_making_failed_elsewhere_is_a_conflict_once_and_then_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_environment(tmp_path, add) as env:
        body = {"task": {"n": 1}, "assigned_by": "ray"}
        meanwhile(env, monkeypatch, env.site.app.store.create("mine").remove)
        assert env.client.put("/task/mine", json=body).status_code == 409
        assert env.client.put("/task/mine", json=body).status_code == 200


def test_a_task_with_replicas_is_one_task_and_each_replica_is_one_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from localrun.manager import replicas

    monkeypatch.setattr(replicas, "START_INTERVAL", 0.0)
    with serve_environment(tmp_path, add) as env:
        # When a task requests replicas, of which some must agree
        found = env.post({**env.bundle(a=3, b=4), "replicas": 3, "agree": 2})
        env.wait(found["task_id"])

        # Then it finishes as one task, with the result of the comparison
        whole = env.client.get(f"/task/{found['task_id']}").json()["task"]
        assert (whole["state"], whole["outputs"]) == ("FINISHED", {"sum": 7})
        assert [group["replicas"] for group in whole["replication"]["groups"]] == [[1, 2, 3]]
        for number, task_id in enumerate(whole["replication"]["ids"], 1):
            replica = env.client.get(f"/task/{task_id}").json()["task"]
            assert (replica["replica_of"], replica["replica"]["number"]) == (found["task_id"], number)


@pytest.mark.parametrize("keys", [{"replicas": 0}, {"replicas": "2"}, {"replicas": 3, "agree": 1}])
def test_replicas_that_do_not_fit_are_refused(tmp_path: Path, keys: dict[str, Any]) -> None:
    with serve_environment(tmp_path, add) as env:
        body = {"task": {**env.bundle(a=3, b=4), **keys}, "assigned_by": "ray"}
        refused = env.client.post("/task", json=body)
        assert refused.status_code == 422, refused.text
        assert "replicas" in refused.text


def test_a_task_that_is_refused_is_refused_alike_however_often_it_is_asked_for_at_once(
    tmp_path: Path,
) -> None:
    with serve_environment(tmp_path, add) as env, live(env.site) as address:
        body = {"task": env.bundle(a="three", b=4), "assigned_by": "ray"}

        def put(_: int) -> int:
            return requests.put(f"{address}/task/mine", json=body, timeout=120).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(put, range(16))) == {422}
        assert env.client.get("/task/mine").status_code == 404


def test_the_counts_know_of_what_another_process_has_ended(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        task_id = env.post({})["task_id"]
        other = App(env.site.app.settings, env.site.app.engine)
        other.manager.complete_task(task_id)
        counts = env.client.get("/task/status").json()["task_manager"]
        assert (counts["active_tasks_count"], counts["completed_tasks_count"]) == (0, 1)
