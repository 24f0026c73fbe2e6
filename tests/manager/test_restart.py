"""Servers killed at random moments, and engine restarts: no task is lost, run twice, or left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from localrun.app import App
from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from localrun.settings import Settings
from localrun.task.states import TaskState
from tests.conftest import ROOT
from tests.support.busybox_image import busybox_image
from tests.support.docker_daemon import Daemon, own_daemon
from tests.support.environment import make_environment
from tests.support.images import busybox_layer, image_archive
from tests.support.waiting import until

pytestmark = pytest.mark.docker

MOMENTS = int(os.environ.get("KILL_MOMENTS", "2"))  # `make attack` kills at more of them
COUNTED = "echo ran >> /outputs/runs; sleep 0.1; echo 7 > /outputs/sum"


@pytest.fixture
def image(docker_engine: DockerEngine) -> Iterator[str]:
    """Load an image with a shell under a unique name."""
    with busybox_image(docker_engine, "sh") as name:
        yield name


@dataclass
class Server:
    """`python main.py` in a folder; it can be killed and restarted."""

    folder: Path
    process: subprocess.Popen[str] | None = None
    url: str = ""
    printed: list[str] = field(default_factory=list)

    def start(self, *options: str) -> None:
        """Start the server, and wait until it prints its address."""
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "LOCALRUN_LEDGER": str(self.folder / "ledger/l.json"),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "main.py"), "--port", "0", *options],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            if "serving on " in line:
                self.url = line.split("serving on ")[1].split()[0]
                return
        raise AssertionError("".join(self.printed))

    def end(self, number: int) -> int:
        """Send a signal, and wait for the process to exit."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        self.process.stdout.read()
        code = self.process.wait(120)
        self.process.stdout.close()
        return code

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send a request. Raises `urllib.error.HTTPError`, or `OSError` if the server is gone."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def submit(server: Server, image: str) -> str:
    task_id = str(uuid.uuid4())
    task = {
        "image": image,
        "command": ["sh", "-c", COUNTED],
        "outputs": {"sum": "integer"},
        "resources": {"cpus": 0.25, "memory": "16Mi"},
    }
    server.call("PUT", f"/task/{task_id}", {"task": task, "assigned_by": "test"})
    return task_id


def kill_at(server: Server, image: str, moment: float) -> list[str]:
    """Submit tasks, kill the server after some seconds, and return the accepted tasks."""
    deadline = time.monotonic() + moment
    acknowledged: list[str] = []
    while time.monotonic() < deadline and len(acknowledged) < 2:
        acknowledged.append(submit(server, image))
    time.sleep(max(0.0, deadline - time.monotonic()))
    server.end(signal.SIGKILL)
    return acknowledged


@pytest.mark.timeout(120 + 60 * MOMENTS)
def test_a_server_killed_at_any_moment_loses_no_task_and_runs_none_twice(
    docker_engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    moments = random.Random(seed)
    acknowledged: list[str] = []
    server = Server(tmp_path)
    for _ in range(MOMENTS):
        server.start()
        acknowledged += kill_at(server, image, moments.uniform(0, 0.9))
    server.start()
    records = [server.call("GET", f"/task/{task_id}/wait?timeout=120") for task_id in acknowledged]
    listed = server.call("GET", "/task/list")["active_tasks"]
    assert server.end(signal.SIGTERM) == 0
    tasks = App(Settings(home=tmp_path / ".localrun", cache=tmp_path / "cache")).tasks()
    states = {task.id: (task.state, task.cause, task.message) for task in tasks}
    assert len(acknowledged) > MOMENTS / 2
    assert len(records) == len(acknowledged)
    for task_id in acknowledged:
        assert states[task_id][0] is TaskState.FINISHED, (seed, task_id, states[task_id])
        runs = (tmp_path / f".localrun/tasks/{task_id}/outputs/runs").read_text()
        assert runs == "ran\n", (seed, task_id)
    assert listed == []
    assert [state for state in states.values() if not state[0].is_final] == []
    mine = [found for found in docker_engine.find({LABEL_TASK: ""}) if found.labels[LABEL_TASK] in states]
    assert mine == []


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_running_container_goes_on_without_its_server_and_the_next_one_ends_it(
    docker_engine: DockerEngine, image: str, tmp_path: Path, ended_by: int
) -> None:
    server = Server(tmp_path)
    server.start("--on-exit", "leave")
    script = "until [ -e /outputs/go ]; do sleep 0.05; done; rm /outputs/go; " + COUNTED
    task = {"image": image, "command": ["sh", "-c", script], "outputs": {"sum": "integer"}}
    made = server.call("POST", "/task", {"task": task, "assigned_by": "test"})
    until(lambda: server.call("GET", f"/task/{made['task_id']}")["task"]["state"] == "RUNNING")
    assert server.end(ended_by) == (0 if ended_by == signal.SIGTERM else -signal.SIGKILL)
    (found,) = docker_engine.find({LABEL_TASK: made["task_id"]})
    assert found.running
    server.start()
    (tmp_path / f".localrun/tasks/{made['task_id']}/outputs/go").touch()
    ended = server.call("GET", f"/task/{made['task_id']}/wait?timeout=120")
    assert server.end(signal.SIGTERM) == 0
    assert ended["task"]["state"] == "FINISHED"
    assert docker_engine.find({LABEL_TASK: made["task_id"]}) == []


def test_two_servers_of_one_folder_run_each_task_once_and_know_all_of_them(
    docker_engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    one, other = Server(tmp_path), Server(tmp_path)
    one.start()
    mine = [submit(one, image) for _ in range(3)]
    other.start()
    theirs = [submit(other, image) for _ in range(3)]
    for task_id in [*mine, *theirs]:
        asked = other if task_id in mine else one
        ended = asked.call("GET", f"/task/{task_id}/wait?timeout=120")
        assert ended["task"]["state"] == "FINISHED"
        assert (tmp_path / f".localrun/tasks/{task_id}/outputs/runs").read_text() == "ran\n"
    assert one.end(signal.SIGTERM) == 0
    assert other.end(signal.SIGTERM) == 0
    lines = (tmp_path / "logs/heartbeat_detailed.jsonl").read_text().splitlines()
    created = [json.loads(line) for line in lines if json.loads(line)["event_type"] == "task_created"]
    assert sorted(line["data"]["task_id"] for line in created) == sorted([*mine, *theirs])


# -- restart of the engine -------------------------------------------------------------------------


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("options", "state"), [(["--live-restore"], "FINISHED"), ([], "FAILED")])
def test_an_engine_that_is_restarted_is_waited_for(tmp_path: Path, options: list[str], state: str) -> None:
    with own_daemon() as daemon:
        restart(daemon, tmp_path, options, state)


def restart(daemon: Daemon, tmp_path: Path, options: list[str], state: str) -> None:
    daemon.start(*options)
    engine = DockerEngine(daemon.host)
    script = (
        "echo started; until [ -e /outputs/go ]; do sleep 0.05; done; rm /outputs/go; echo 7 > /outputs/sum"
    )
    engine.load_image(
        [image_archive(busybox_layer({}), "add:1", Cmd=["sh", "-c", script], Env=["PATH=/bin"])]
    )
    with make_environment(tmp_path, engine=engine, image="add:1", engine_patience=60.0) as env:
        task = env.submit(values={"a": 1, "b": 2})
        until(lambda: "started" in _log_of(task.workspace.log))
        daemon.stop()
        daemon.start(*options)
        (task.workspace.outputs / "go").touch()
        record = env.app.manager.wait(task, 60)
        assert record is not None
        assert engine.find({LABEL_TASK: record.id}) == []
    engine.close()
    assert record.state == state, record.message
    # although an engine that stops its containers still answers for a moment
    assert record.cause == (None if state == "FINISHED" else "ENGINE_LOST")


def _log_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""
