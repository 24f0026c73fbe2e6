"""Servers that are killed or stopped while a batch runs: the next one continues it, and no row runs twice."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.app import App
from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from localrun.settings import Settings
from localrun.task.states import TaskState
from tests.manager.test_restart import Server
from tests.support.environment import DESCRIPTOR
from tests.support.images import busybox_layer, image_archive

pytestmark = pytest.mark.docker

MOMENTS = int(os.environ.get("KILL_MOMENTS", "2"))  # `make attack` kills at more of them
ROWS = 8
ADD = (  # a row with b=0 waits
    "[ $(cat /inputs/b) != 0 ] || until [ -e /outputs/go ]; do sleep 0.05; done; rm -f /outputs/go;"
    "echo ran >> /outputs/runs; sleep 0.2; echo $(($(cat /inputs/a) + $(cat /inputs/b))) > /outputs/sum"
)


@pytest.fixture
def image(docker_engine: DockerEngine) -> Iterator[str]:
    """Load an image that adds, under a unique name."""
    name = f"localrun-test/batch:{secrets.token_hex(4)}"
    archive = image_archive(busybox_layer({}), name, Cmd=["sh", "-c", ADD], Env=["PATH=/bin"])
    docker_engine.load_image([archive])
    yield name
    docker_engine.remove_image(name)


def start_batch(server: Server, image: str, last: int = 100) -> None:
    rows = [{"a": number, "b": 100} for number in range(1, ROWS)] + [{"a": ROWS, "b": last}]
    body = {
        "bundle": "descriptor.yml",
        "image": image,
        "rows": rows,
        "resources": {"cpus": 0.25, "memory": "16Mi"},
    }
    server.call("PUT", "/batch/sums", body)


def check(folder: Path, docker_engine: DockerEngine) -> list[TaskState]:
    """Check that each row has one result, and that its task ran once; return the states of all tasks."""
    lines = (folder / ".localrun/batches/sums/results.jsonl").read_text().splitlines()
    results = [json.loads(line) for line in lines]
    assert sorted(one["row"] for one in results) == list(range(1, ROWS + 1))
    assert all(one["outputs"]["sum"] == sum(one["inputs"].values()) for one in results)
    for one in results:
        assert (folder / f".localrun/tasks/{one['task']}/outputs/runs").read_text() == "ran\n"
    tasks = App(Settings(home=folder / ".localrun", cache=folder / "cache")).tasks()
    finished = [task.id for task in tasks if task.state is TaskState.FINISHED]
    assert sorted(finished) == sorted(one["task"] for one in results)
    ids = {task.id for task in tasks}
    assert [one for one in docker_engine.find({LABEL_TASK: ""}) if one.labels[LABEL_TASK] in ids] == []
    return [task.state for task in tasks]


@pytest.mark.timeout(180 + 60 * MOMENTS)
def test_a_batch_continues_after_its_server_was_killed_at_any_moment(
    docker_engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    moments = random.Random(seed)
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    server = Server(tmp_path)
    for _ in range(MOMENTS):
        server.start()
        start_batch(server, image)  # the same one each time
        time.sleep(moments.uniform(0, 1.2))
        server.end(signal.SIGKILL)
    server.start()
    start_batch(server, image)
    found = server.call("GET", "/batch/sums/wait?timeout=150")
    assert found["batch"]["counts"] == {"FINISHED": ROWS}, (seed, found)
    assert server.end(signal.SIGTERM) == 0
    assert check(tmp_path, docker_engine) == [TaskState.FINISHED] * ROWS


@pytest.mark.timeout(180)
def test_a_stopped_server_kills_the_row_in_flight_and_the_next_one_runs_it_again(
    docker_engine: DockerEngine, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALRUN_GRACE", "1")
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    server = Server(tmp_path)
    server.start()
    start_batch(server, image, last=0)
    while sum(server.call("GET", "/batch/sums")["batch"]["counts"].values()) < ROWS - 1:
        time.sleep(0.05)
    waiting(server)
    assert server.end(signal.SIGTERM) == 0
    server.start()
    task = waiting(server)
    (tmp_path / f".localrun/tasks/{task}/outputs/go").touch()
    found = server.call("GET", "/batch/sums/wait?timeout=150")
    assert found["batch"]["counts"] == {"FINISHED": ROWS}
    assert server.end(signal.SIGTERM) == 0
    assert sorted(check(tmp_path, docker_engine)) == ["FINISHED"] * ROWS + ["KILLED"]


def waiting(server: Server) -> str:
    """Return the task of the last row when it runs."""
    while True:
        for row in server.call("GET", "/batch/sums/rows?state=RUNNING")["rows"]:
            if row["row"] == ROWS:
                return str(row["task"])
        time.sleep(0.05)
