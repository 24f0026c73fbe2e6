from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.fake import FakeContainer
from tests.support.server_client import ServerEnvironment, add, serve_environment
from tests.support.waiting import until


def wait_until_stopped(container: FakeContainer) -> int:
    container.stopped.wait(60)
    return 143


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


def test_the_queue_has_the_machine_and_its_limits(served: ServerEnvironment) -> None:
    found = served.client.get("/queue").json()
    assert found["engine"]["available"] is True
    assert found["capacity"]["cpus"] > 0
    assert found["free"] == found["capacity"]
    memory = found["host"]["memory"]
    assert 0 < memory["used"] < memory["total"]
    assert memory["limit_percent"] == 95.0
    assert {"path", "free", "percent", "limit_percent", "stop_percent", "reserve"} <= set(
        found["host"]["disks"][0]
    )
    assert (found["running"], found["waiting"]) == ([], [])


def test_running_and_waiting_tasks_are_listed_with_the_reason(tmp_path: Path) -> None:
    with serve_environment(tmp_path, wait_until_stopped) as env:
        cpus = env.client.get("/queue").json()["capacity"]["cpus"]
        first = env.post({**env.bundle(a=1, b=2), "resources": {"cpus": cpus}})["task_id"]
        until(lambda: env.client.get("/queue").json()["running"])
        second = env.post({**env.bundle(a=1, b=2), "resources": {"cpus": 1}})["task_id"]
        until(lambda: any(one["reason"] for one in env.client.get("/queue").json()["waiting"]))
        found = env.client.get("/queue").json()
        (running,), (waiting,) = found["running"], found["waiting"]
        assert (running["task_id"], running["cpus"], running["mine"]) == (first, cpus, True)
        assert running["name"] == "Add integers"
        assert (waiting["task_id"], waiting["position"]) == (second, 0)
        assert "1 Insufficient cpu" in waiting["reason"]
        assert waiting["shortages"] == [{"resource": "cpus", "requested": 1.0, "free": 0}]
        assert found["reserved"]["cpus"] == cpus
        assert found["free"]["cpus"] == 0
        for task_id in (second, first):
            env.client.post(f"/task/{task_id}/kill?grace=0")


def test_two_tasks_are_compared_side_by_side(served: ServerEnvironment) -> None:
    first, second = served.run(a=3, b=4), served.run(a=5, b=4)
    for task_id in (first, second):
        served.wait(task_id)
    found = served.client.get("/diff", params={"a": first, "b": second}).json()
    assert (found["a"]["id"], found["b"]["id"], found["same"]) == (first, second, False)
    inputs = {one["name"]: one for one in found["inputs"]}
    assert (inputs["a"]["same"], inputs["a"]["delta"], inputs["b"]["same"]) == (False, 2, True)
    (output,) = found["outputs"]
    assert (output["name"], output["delta"], output["a"]["value"], output["b"]["value"]) == ("sum", 2, 7, 9)
    assert {"section": "inputs", "path": "a", "first": 3, "second": 5} in found["differences"]
    assert "run" in found["timings"]
    same = served.client.get("/diff", params={"a": first, "b": first}).json()
    assert (same["same"], same["differences"]) == (True, [])


def test_a_comparison_needs_two_known_tasks(served: ServerEnvironment) -> None:
    task_id = served.post({})["task_id"]
    assert served.client.get(f"/diff?a={task_id}&b=nope").status_code == 404
    assert served.client.get(f"/diff?a={task_id}").status_code == 422
