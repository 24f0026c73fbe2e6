from __future__ import annotations

import json
import signal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from localrun.task.record import short_id
from tests.support.server_process import ServerProcess, serving

pytestmark = pytest.mark.docker


def start(server: ServerProcess, image: str, script: str, **more: Any) -> str:
    """Create a task that runs a script, wait until it runs, and return its id."""
    task = {"image": image, "command": ["sh", "-c", script], "resources": {"memory": "32Mi"}, **more}
    made = requests.post(f"{server.address}/task", json={"task": task, "assigned_by": "ray"})
    assert made.status_code == 200, made.text
    task_id = str(made.json()["task_id"])
    with requests.get(f"{server.address}/task/{task_id}/events", stream=True) as stream:
        for line in stream.iter_lines():
            if line.startswith(b"data:") and json.loads(line[5:])["data"].get("state") in (
                "RUNNING",
                "FAILED",
            ):
                return task_id
    raise AssertionError("the task has not started")


def record(folder: Path, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / ".localrun/tasks" / task_id / "task.json").read_text())
    return found


def containers(engine: DockerEngine, task_id: str) -> int:
    return len(engine.find({LABEL_TASK: task_id}))


def test_a_task_runs_in_a_container_and_its_output_is_fetched(tmp_path: Path, busybox: str) -> None:
    with serving(tmp_path) as server:
        task_id = start(server, busybox, "echo hi; printf 7 > /outputs/n", outputs={"n": "integer"})
        task = requests.get(f"{server.address}/task/{task_id}/wait?timeout=120").json()["task"]
        assert (task["state"], task["outputs"], task["exit_code"]) == ("FINISHED", {"n": 7}, 0)
        assert requests.get(f"{server.address}/task/{task_id}/logs").text == "hi\n"
        assert requests.get(f"{server.address}/task/{task_id}/outputs/n").content == b"7"


def test_a_second_ctrl_c_skips_the_grace_period(
    tmp_path: Path, busybox: str, docker_engine: DockerEngine
) -> None:
    # Given two programs that ignore SIGTERM, and a long grace period
    with serving(tmp_path, env={"LOCALRUN_GRACE": "600"}) as server:
        ids = [start(server, busybox, "trap '' TERM; while :; do sleep 1; done") for _ in range(2)]

        # When the server is stopped, it prints the tasks and the option
        server.process.send_signal(signal.SIGINT)
        assert server.process.stdout is not None
        lines = iter(server.process.stdout.readline, "")
        lines = (line for line in lines if not line.startswith("task "))  # the start of a task
        printed = [next(line for line in lines if line.startswith("stopping")), *islice(lines, 3)]
        assert printed[0].startswith("stopping: killing 2 unfinished tasks, each within 10 min")
        assert "press Ctrl+C again to kill them now" in printed[0]
        assert sorted(line.split()[0] for line in printed[1:3]) == sorted(short_id(one) for one in ids)
        assert "--on-exit leave" in printed[3]

        # Then a second signal kills them at once
        assert server.stop(signal.SIGINT) == 0
    assert [record(tmp_path, one)["state"] for one in ids] == ["KILLED", "KILLED"]
    assert [containers(docker_engine, one) for one in ids] == [0, 0]


def test_a_server_that_stops_kills_its_tasks(
    tmp_path: Path, busybox: str, docker_engine: DockerEngine
) -> None:
    with serving(tmp_path, "--on-exit", "kill", env={"LOCALRUN_GRACE": "0"}) as server:
        task_id = start(server, busybox, "sleep 60")
        assert server.stop() == 0
    assert record(tmp_path, task_id)["state"] == "KILLED"
    assert containers(docker_engine, task_id) == 0


def test_a_server_that_waits_stops_after_its_tasks(tmp_path: Path, busybox: str) -> None:
    with serving(tmp_path, "--on-exit", "wait") as server:
        task_id = start(server, busybox, "sleep 1; exit 3")
        assert server.stop() == 0
    assert (record(tmp_path, task_id)["state"], record(tmp_path, task_id)["exit_code"]) == ("FAILED", 3)


def test_a_server_that_leaves_its_tasks_finds_them_again(
    tmp_path: Path, busybox: str, docker_engine: DockerEngine
) -> None:
    with serving(tmp_path, "--on-exit", "leave") as server:
        task_id = start(server, busybox, "sleep 2; exit 4")
        assert server.stop() == 0
    assert containers(docker_engine, task_id) == 1
    with serving(tmp_path) as server:
        task = requests.get(f"{server.address}/task/{task_id}/wait?timeout=120").json()["task"]
    assert (task["state"], task["exit_code"]) == ("FAILED", 4)
    assert containers(docker_engine, task_id) == 0


def test_the_page_follows_the_output_and_the_usage_of_a_container(tmp_path: Path, busybox: str) -> None:
    with serving(tmp_path) as server:
        script = "for n in 1 2 3 4; do echo line $n; sleep 1; done; echo bad >&2; printf 7 > /outputs/n"
        task_id = start(server, busybox, script, outputs={"n": "integer"})
        pages: list[dict[str, Any]] = []
        address = f"{server.address}/task/{task_id}"
        with requests.get(f"{address}/logs?format=events", stream=True, timeout=120) as stream:
            for line in stream.iter_lines():
                if line.startswith(b"data:"):
                    pages.append(json.loads(line[5:]))
        entries = [entry for page in pages for entry in page.get("entries", [])]
        assert [(entry["text"], entry["stream"]) for entry in entries] == [
            *((f"line {number}", "stdout") for number in range(1, 5)),
            ("bad", "stderr"),
        ]
        requests.get(f"{address}/wait?timeout=120")
        view = requests.get(f"{address}/view").json()
        assert view["usage"]["samples"][0]["memory"] > 0
        assert len(view["timeline"]["log"]) > 1
        assert [step["name"] for step in view["timeline"]["steps"]] == ["permissions", "task", "outputs"]
        assert view["outputs"][0]["value"] == 7
