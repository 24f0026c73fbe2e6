"""Processes that are killed or suspended do not change how a task ended."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.support.task_folder import Folder, make_folder
from tests.support.waiting import WAIT, until

pytestmark = pytest.mark.docker

SHORT = "echo ready; sleep 1; echo 7 > /outputs/sum"
LONG = "echo ready; sleep 60"


@pytest.fixture
def folder(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[Folder]:
    with make_folder(tmp_path, docker_engine) as made:
        yield made


def running(folder: Folder) -> str:
    """Wait until the container of the newest task runs; return the task's id."""

    def find() -> str | None:
        workspaces = list(TaskStore(folder.home).newest_first())
        record = workspaces[0].load_or_none() if workspaces else None
        return record.id if record and record.state is TaskState.RUNNING else None

    found: str = until(find)
    return found


def test_a_task_whose_run_was_killed_has_the_end_of_its_container(
    folder: Folder, docker_engine: DockerEngine
) -> None:
    with folder.start(SHORT) as process:
        task_id = running(folder)
        process.kill()
    until(lambda: not any(found.running for found in docker_engine.find({LABEL_TASK: task_id})))
    waited = folder.command("wait", task_id)
    record = folder.record(task_id)
    assert (waited.returncode, record.state, record.exit_code) == (0, TaskState.FINISHED, 0)
    assert (record.outputs, record.cause) == ({"sum": 7}, None)
    assert docker_engine.find({LABEL_TASK: task_id}) == []


def test_a_running_container_of_a_killed_run_is_stopped_and_its_exit_code_kept(folder: Folder) -> None:
    with folder.start(LONG) as process:
        task_id = running(folder)
        process.kill()
    assert folder.command("wait", task_id).returncode == 5
    record = folder.record(task_id)
    assert (record.cause, record.exit_code, record.signal) == ("RUNNER_TERMINATED", 143, "SIGTERM")
    assert f"process {process.pid} " in record.message


@pytest.mark.parametrize("script", [LONG, SHORT])
def test_kill_ends_a_task_whose_process_is_suspended(
    folder: Folder, docker_engine: DockerEngine, script: str
) -> None:
    with folder.start(script, "--json") as process:
        task_id = running(folder)
        process.send_signal(signal.SIGSTOP)
        if script == SHORT:
            until(lambda: not any(found.running for found in docker_engine.find({LABEL_TASK: task_id})))
        killed = folder.command("kill", task_id)
        ended = folder.record(task_id)
        # the process adopts the end when it continues
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=WAIT)
    assert f"process {process.pid}, which owns the task, is suspended" in killed.stderr
    if script == LONG:
        assert (killed.returncode, killed.stdout) == (0, f"{task_id[:8]} KILLED\n")
        assert (ended.state, process.returncode) == (TaskState.KILLED, 130)
    else:
        assert killed.returncode == 2
        note = f"process {process.pid}, which owns the task, is suspended, so this process recorded the end"
        message = f"error: task {task_id[:8]} has ended already (FINISHED); {note}"
        assert killed.stderr.splitlines() == [message, "  hint: nothing to do"]
        assert (ended.state, ended.outputs, process.returncode) == (TaskState.FINISHED, {"sum": 7}, 0)
    assert json.loads(out)["state"] == ended.state
    assert folder.record(task_id) == ended


def test_a_run_that_was_suspended_beyond_the_time_limit_finishes(
    folder: Folder, docker_engine: DockerEngine
) -> None:
    with folder.start("sleep 0.2; echo 7 > /outputs/sum", "--timeout", "3s") as process:
        task_id = running(folder)
        process.send_signal(signal.SIGSTOP)
        until(lambda: not any(found.running for found in docker_engine.find({LABEL_TASK: task_id})))
        until(lambda: folder.command("status", task_id, "--json").returncode == 0)
        signal.sigtimedwait([], 3)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=WAIT)
    assert (folder.record(task_id).state, process.returncode) == (TaskState.FINISHED, 0)
