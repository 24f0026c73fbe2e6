"""Output of a running task in `localrun run`, on a real engine."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_HOME
from tests.support.environment import DESCRIPTOR
from tests.support.images import busybox_layer, image_archive
from tests.support.terminal import on_terminal

pytestmark = pytest.mark.docker

MakeImage = Callable[[str], str]


@pytest.fixture
def make_image(docker_engine: DockerEngine) -> Iterator[MakeImage]:
    """Create images whose program is a shell script."""
    names: list[str] = []

    def make(script: str) -> str:
        names.append(f"localrun-test/live:{secrets.token_hex(4)}")
        config: dict[str, Any] = {"Cmd": ["sh", "-c", script], "Env": ["PATH=/bin"]}
        docker_engine.load_image([image_archive(busybox_layer({}), names[-1], **config)])
        return names[-1]

    yield make
    for name in names:
        docker_engine.remove_image(name)


@pytest.fixture
def places(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    names = {"LOCALRUN_HOME": "home", "LOCALRUN_CACHE": "cache", "LOCALRUN_LEDGER": "ledger/l.json"}
    return {name: str(tmp_path / path) for name, path in names.items()}


def arguments(image: str) -> list[str]:
    return ["run", "descriptor.yml", "--image", image, "-i", "a=1", "-i", "b=2"]


# the program asks a question, and waits until the test has seen it
ASKS = "printf 'Continue? '; while [ ! -e /outputs/sum ]; do sleep 0.1; done; echo yes"


def answer(folder: Path) -> None:
    (outputs,) = folder.glob("home/tasks/*/outputs")
    (outputs / "sum").write_text("3")


def test_a_prompt_appears_on_a_terminal_while_the_task_waits(
    tmp_path: Path, make_image: MakeImage, places: Mapping[str, str]
) -> None:
    with on_terminal(*arguments(make_image(ASKS)), cwd=tmp_path, env=places) as process:
        process.until("Continue?")
        answer(tmp_path)
        assert process.wait() == 0
    assert "Continue? yes" in process.shown


def test_a_prompt_appears_in_a_pipe_while_the_task_waits(
    tmp_path: Path, make_image: MakeImage, places: Mapping[str, str]
) -> None:
    command = [sys.executable, "-m", "localrun", *arguments(make_image(ASKS))]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, **places}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"out | Continue? " in line:
                break
        answer(tmp_path)
        rest = process.stderr.read()
    assert process.returncode == 0
    assert b"out | Continue? yes\n" in rest


def test_a_suspended_localrun_does_not_stop_its_task_and_the_log_is_complete(
    tmp_path: Path, make_image: MakeImage, places: Mapping[str, str], docker_engine: DockerEngine
) -> None:
    # Given a process that is suspended while its task starts to write
    script = "while [ ! -e /outputs/sum ]; do sleep 0.1; done; yes 0123456789 | head -n 300000; echo the end"
    command = [sys.executable, "-m", "localrun", *arguments(make_image(script)), "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, **places}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        label = {LABEL_HOME: places["LOCALRUN_HOME"]}
        while not any(found.running for found in docker_engine.find(label)):
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            # When the task writes more than all buffers hold, then it ends nevertheless
            (found,) = docker_engine.find(label)
            answer(tmp_path)
            assert docker_engine.wait(found.handle).code == 0
        finally:
            os.kill(process.pid, signal.SIGCONT)
        record = json.loads(process.communicate()[0])
    assert record["state"] == "FINISHED"
    log = Path(record["folder"], "logs/task.log").read_bytes()
    assert log == b"0123456789\n" * 300_000 + b"the end\n"
