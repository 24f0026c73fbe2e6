from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer
from localrun.server.listing.index import TaskIndex
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from tests.support.server_client import ServerEnvironment, add, serve_environment
from tests.support.waiting import until


def record(task_id: str, number: int, state: str = "FINISHED", **fields: Any) -> TaskRecord:
    at = 1_700_000_000.0 + number
    history = [(TaskState.CREATED, at), (TaskState(state), at + 1)]
    return TaskRecord(id=task_id, bundle="b", state=TaskState(state), history=history, **fields)


def save(served: ServerEnvironment, *records: TaskRecord) -> None:
    """Write tasks as another process does."""
    store = served.env.app.store
    for one in records:
        workspace = store.create(one.id)
        workspace.save(one.replace(folder=str(workspace.path)))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


def ids(served: ServerEnvironment, **query: Any) -> list[str]:
    answer = served.client.get("/tasks", params=query)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["tasks"]]


@pytest.fixture
def several(served: ServerEnvironment) -> ServerEnvironment:
    """Tasks t0 (oldest) to t3, and a replica of t3."""
    save(
        served,
        record("t0", 0, "FINISHED", name="Count cells", assigned_by="ray", outputs={"count": 24}),
        record("t1", 1, "FAILED", name="Segment", cause="OUT_OF_MEMORY", message="used 2 GiB\nmore"),
        record("t2", 2, "FAILED", name="count", cause="TIMEOUT", assigned_by="dask"),
        record("t3", 3, "KILLED", name="Two words"),
    )
    return served


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("", ["t3", "t2", "t1", "t0"]),
        ("state:FAILED", ["t2", "t1"]),
        ("state:failed cause:OUT_OF_MEMORY", ["t1"]),
        ("state:FAILED,KILLED", ["t3", "t2", "t1"]),
        ("-state:FAILED", ["t3", "t0"]),
        ("state:ended", ["t3", "t2", "t1", "t0"]),
        ("state:active", []),
        ("by:ray", ["t0"]),
        ("by:RAY,dask", ["t2", "t0"]),
        ("count", ["t2", "t0"]),
        ("name:count -by:ray", ["t2"]),
        ('name:"two words"', ["t3"]),
        ('"TWO WORDS"', ["t3"]),
        ("value:24", ["t0"]),
        ("value:count=24", ["t0"]),
        ("message:gib", ["t1"]),
        ("id:t2", ["t2"]),
        ("kind:manual state:KILLED", ["t3"]),
        ("sha256:abc", []),
        ("2 GiB", ["t1"]),
        ("nothing-like-this", []),
    ],
)
def test_each_term_narrows_the_list(several: ServerEnvironment, q: str, found: list[str]) -> None:
    assert ids(several, q=q) == found


@pytest.mark.parametrize(
    ("q", "words"),
    [
        ("staet:FAILED", "did you mean 'state:'?"),
        ("state:FALED", "did you mean 'FAILED'?"),
        ("cause:OUT_OF_MEMROY", "did you mean 'OUT_OF_MEMORY'?"),
        ("kind:x", "expected one of: container, replicated, manual"),
        ("step:tsk", "did you mean 'task'?"),
    ],
)
def test_a_term_that_can_match_nothing_is_422_with_a_remedy(
    served: ServerEnvironment, q: str, words: str
) -> None:
    answer = served.client.get("/tasks", params={"q": q})
    (item,) = answer.json()["detail"]
    assert (answer.status_code, item["loc"]) == (422, ["query", "q"])
    assert words in item["msg"]


def test_the_counts_are_of_all_states_that_the_other_terms_match(several: ServerEnvironment) -> None:
    found = several.client.get("/tasks", params={"q": "state:KILLED count", "limit": 1}).json()
    assert found["tasks"] == []
    assert (found["matching"], found["total"]) == (0, 4)
    assert {name: count for name, count in found["counts"].items() if count} == {"FINISHED": 1, "FAILED": 1}


def test_pages_do_not_move_while_new_tasks_arrive(several: ServerEnvironment) -> None:
    first = ids(several, limit=2)
    save(several, record("t9", 9))
    assert ids(several, limit=2, offset=2, **{"from": first[0]}) == ["t1", "t0"]
    assert ids(several, limit=1) == ["t9"]
    assert several.client.get("/tasks?from=nope").status_code == 404


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("created", "t0 t1 t2 t3"),
        ("name", "t2 t0 t1 t3"),
        ("-ended", "t3 t2 t1 t0"),
        ("-seconds", "t3 t2 t1 t0"),
    ],
)
def test_the_list_has_other_orders(several: ServerEnvironment, sort: str, found: str) -> None:
    assert ids(several, sort=sort) == found.split()


def test_tasks_of_other_processes_appear_change_and_disappear(served: ServerEnvironment) -> None:
    store = served.env.app.store
    save(served, record("a", 1, "CREATED"))
    store.publish(store.open("a"))
    assert ids(served, q="state:active") == ["a"]
    store.open("a").save(record("a", 1, "FINISHED"))
    store.withdraw("a")
    assert ids(served, q="state:FINISHED") == ["a"]
    shutil.rmtree(store.open("a").path)
    assert ids(served) == []


def test_a_task_without_a_readable_record_is_left_out_until_it_has_one(served: ServerEnvironment) -> None:
    workspace = served.env.app.store.create("a")
    assert ids(served) == []
    workspace.save(record("a", 1))
    assert ids(served) == ["a"]


def test_a_task_is_found_whose_folder_was_seen_before_its_record(served: ServerEnvironment) -> None:
    store = served.env.app.store
    workspace = store.create("early")
    os.utime(store.tasks, (1_700_000_000, 1_700_000_000))  # so long ago that it is not listed again
    assert ids(served) == []
    workspace.save(record("early", 1, folder=str(workspace.path)))
    assert ids(served) == ["early"]


def test_the_removal_of_a_task_that_never_had_a_record_is_reported(served: ServerEnvironment) -> None:
    removed: list[str] = []
    index, store = TaskIndex(served.env.app, removed.append), served.env.app.store
    workspace = store.create("early")
    assert index.tasks() == []
    shutil.rmtree(workspace.path)
    assert index.tasks() == []
    assert removed == ["early"]


def test_replicas_are_found_by_their_task_only(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add) as env:
        task_id = env.post({**env.bundle(a=3, b=4), "replicas": 2})["task_id"]
        env.wait(task_id)
        assert ids(env) == [task_id]
        rows = env.client.get("/tasks", params={"q": f"of:{task_id[:8]}", "sort": "created"}).json()["tasks"]
        assert sorted(row["replica"] for row in rows) == [1, 2]
        assert {row["replica_of"] for row in rows} == {task_id}


def test_a_row_has_times_values_and_the_first_image(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add) as env:
        task_id = env.run(a=3, b=4)
        env.wait(task_id)
        row = env.client.get("/tasks").json()["tasks"][0]
    assert row["values"] == [{"name": "sum", "text": "7"}]
    assert row["created"] <= row["started"] <= row["ended"]
    assert (row["final"], row["kind"], row["memory"], row["image"]) == (True, "container", None, None)


def test_a_long_value_is_cut_and_a_file_is_not_a_text(served: ServerEnvironment) -> None:
    folder = served.env.app.store.tasks / "a"
    files = {"mask": f"{folder}/outputs/mask", "many": [f"{folder}/outputs/many/0"]}
    save(served, record("a", 1, outputs={"text": "x" * 1000, **files, "e": 1, "fifth": 5}))
    values = served.client.get("/tasks").json()["tasks"][0]["values"]
    assert values == [
        {"name": "text", "text": "x" * 77 + "..."},
        {"name": "mask", "file": True},
        {"name": "many", "file": True, "count": 1},
        {"name": "e", "text": "1"},
    ]


def test_a_running_task_has_its_current_memory(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        assert container.stopped.wait(60)
        return 143

    with serve_environment(tmp_path, program) as env:
        task_id = env.run(a=3, b=4)
        usage = env.env.app.store.open(task_id).usage
        until(lambda: env.client.get(f"/task/{task_id}").json()["task"]["state"] == "RUNNING")
        sample = (
            '{"time":1,"cpu_seconds":1,"memory":%d,"memory_peak":null,"read_bytes":0,"written_bytes":0,"pids":1}'
            "\n"
        )
        usage.write_text(sample % 5000 + sample % 3000 + '{"torn')
        row = env.client.get("/tasks", params={"q": "state:RUNNING"}).json()["tasks"][0]
        assert (row["memory"], row["memory_limit"]) == (3000, 64 * 1024**2)
        env.client.post(f"/task/{task_id}/kill?grace=0")
