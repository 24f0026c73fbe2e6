"""The supervisor owns detached tasks whose process has died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun import supervisor
from localrun.app import App
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.labels import LABEL_TASK
from localrun.errors import EngineUnreachable
from localrun.manager import supervisor_process
from localrun.settings import Settings
from localrun.supervisor import Supervisor
from localrun.task import supervision
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.manager.test_recovery import abandoned, add, next_process, with_container
from tests.support.environment import Environment, make_environment
from tests.support.task_folder import Folder, make_folder
from tests.support.waiting import WAIT, until

# -- with the fake engine --------------------------------------------------------------------------


def start(env: Environment, monkeypatch: pytest.MonkeyPatch) -> tuple[App, threading.Thread]:
    """Run a supervisor in a thread of this process."""
    monkeypatch.setattr(supervisor, "_LINGER", 0.05)
    monkeypatch.setattr(supervisor, "_TICK", 0.05)
    monkeypatch.setattr(supervisor, "_ENGINE_INTERVAL", 0.05)
    app = next_process(env)
    descriptor = supervision.acquire(env.app.store.path)
    assert descriptor is not None
    supervisor.write_pid(descriptor)
    thread = threading.Thread(target=Supervisor(app, descriptor).run)
    thread.start()
    return app, thread


def test_it_resumes_every_detached_task_without_a_process_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_environment(tmp_path, add) as env:
        queued, running = abandoned(env, "QUEUING"), abandoned(env, "RUNNING")
        with_container(env, running)
        manual = env.app.manager.create_task({"type": "test"}, "ray")
        waiting = env.app.manager.create_task({"bundle": str(env.bundle), "image": env.image, "inputs": {}})
        _, thread = start(env, monkeypatch)
        thread.join(WAIT)
        assert not thread.is_alive()
        states = [env.app.store.open(one.id).load().state for one in (queued, running, manual, waiting)]
        assert supervision.running_pid(env.app.store.path) is None
        env.app.manager.kill(waiting)
    assert states == [TaskState.FINISHED, TaskState.FINISHED, TaskState.CREATED, TaskState.CREATED]


def test_it_forgets_the_tasks_that_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_environment(tmp_path, add) as env:
        ids = [abandoned(env, "QUEUING").id for _ in range(5)]
        app, descriptor = next_process(env), supervision.acquire(env.app.store.path)
        assert descriptor is not None
        made = Supervisor(app, descriptor)
        until(lambda: not made._look())
        assert [env.app.store.open(one).load().state for one in ids] == [TaskState.FINISHED] * 5
        until(lambda: not made._look() and not made._resumed)
        os.close(descriptor)


def test_it_waits_for_the_process_of_a_task_and_takes_over_when_the_lock_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, "QUEUING")
        claim = env.app.store.acquire(left.id)
        assert claim is not None
        app, thread = start(env, monkeypatch)
        time.sleep(0.3)
        assert thread.is_alive()
        assert app.manager.get_all_active_tasks() == []
        claim.release(ended=False)
        thread.join(WAIT)
        assert env.app.store.open(left.id).load().state is TaskState.FINISHED


def test_the_record_names_the_supervisor_as_the_process_of_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        go.wait(WAIT)
        return add(container)

    with make_environment(tmp_path, program) as env:
        left = abandoned(env, "RUNNING")
        with_container(env, left)
        workspace = env.app.store.open(left.id)
        workspace.save(left.replace(owner=None))
        _, thread = start(env, monkeypatch)
        owner = until(lambda: workspace.load().owner)
        go.set()
        thread.join(WAIT)
    assert owner.pid == os.getpid()


def test_it_waits_for_an_engine_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = [EngineUnreachable("nothing answers")] * 3

    class Away(FakeEngine):
        def find(self, labels: Any) -> Any:
            if away:
                raise away.pop()
            return super().find(labels)

    with make_environment(tmp_path, engine=Away(add)) as env:
        left = abandoned(env, "QUEUING")
        _, thread = start(env, monkeypatch)
        thread.join(WAIT)
        assert env.app.store.open(left.id).load().state is TaskState.FINISHED
    assert away == []


def test_a_damaged_record_does_not_keep_it_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, "QUEUING")
        (env.app.store.open(left.id).path / "task.json").write_text("{")
        _, thread = start(env, monkeypatch)
        thread.join(WAIT)
        assert not thread.is_alive()


def test_it_ends_and_removes_its_containers_when_its_folder_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(container: FakeContainer) -> int:
        container.stopped.wait(WAIT)
        return 0

    with make_environment(tmp_path, hang) as env:
        left = abandoned(env, "RUNNING")
        with_container(env, left)
        app, thread = start(env, monkeypatch)
        until(lambda: app.manager.get_task(left.id))
        (env.app.store.path / supervision.LOCK).unlink()
        thread.join(WAIT)
        assert not thread.is_alive()
        assert env.engine.find({LABEL_TASK: ""}) == []
        app.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it_removes_a_container_that_is_created_while_its_folder_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deleting(FakeEngine):
        def create(self, spec: Any) -> Any:
            handle = super().create(spec)
            env.app.store.path.rename(tmp_path / "deleted")
            return handle

    with make_environment(tmp_path, engine=Deleting(add)) as env:
        abandoned(env, "QUEUING")
        app, thread = start(env, monkeypatch)
        thread.join(WAIT)
        assert not thread.is_alive()
        for one in threading.enumerate():
            if one.name.startswith("task-"):  # fails when it saves the record: not during the next test
                one.join(WAIT)
        assert (tmp_path / "deleted").is_dir()
        assert env.engine.find({LABEL_TASK: ""}) == []
        app.close()


def test_a_signal_wakes_it_and_harms_no_other_process(tmp_path: Path) -> None:
    supervision.wake(tmp_path)
    assert not (tmp_path / supervision.LOCK).exists()
    code = "import sys; print(1, flush=True); sys.stdin.read(); print(2)"
    program = [sys.executable, "-c", code]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        descriptor = supervision.acquire(tmp_path)
        assert descriptor is not None
        os.pwrite(descriptor, b"%d" % process.pid, 0)
        supervision.wake(tmp_path)
        os.close(descriptor)
        assert process.communicate("")[0] == "2\n"


def test_there_is_none_for_an_engine_that_only_this_process_can_reach(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        assert env.app.supervise() is False
        assert not (env.app.store.path / supervision.LOCK).exists()


def test_a_folder_that_is_not_writable_has_none(tmp_path: Path) -> None:
    assert supervisor_process.start(Settings(home=tmp_path / "missing")) is False


def test_the_settings_reach_it_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []

    class Ended:
        def __init__(self, arguments: list[str], **_: Any) -> None:
            given.append(arguments)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(subprocess, "Popen", Ended)
    settings = Settings(home=tmp_path, ledger=Path("l.json"), docker_host="tcp://127.0.0.1:1", grace=3.0)
    assert supervisor_process.start(settings)
    found = supervisor_process.decode_settings(given[0][-1])
    assert (found.home, found.docker_host, found.grace) == (tmp_path, "tcp://127.0.0.1:1", 3.0)
    assert found.ledger == Path("l.json").absolute()


# -- as a process, with a real engine --------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[Folder]:
    with make_folder(tmp_path, docker_engine) as made:
        yield made


@pytest.mark.docker
def test_a_task_that_ends_in_time_after_its_script_died_is_finished(folder: Folder) -> None:
    (task_id,) = folder.submit("sleep 1; echo 7 > /outputs/sum", timeout=30)
    record = folder.ended(task_id)
    assert (record.state, record.exit_code, record.outputs) == (TaskState.FINISHED, 0, {"sum": 7})
    until(lambda: supervision.running_pid(folder.home) is None)  # gone when idle
    assert "resumed task" in (folder.home / supervision.LOG).read_text()


@pytest.mark.docker
def test_it_runs_the_tasks_of_detached_commands(folder: Folder) -> None:
    ids = []
    for _ in range(2):  # a supervisor runs already when the second task is submitted
        with folder.start("echo 7 > /outputs/sum", "-d") as process:
            printed, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
        ids.append(printed.strip())
    for task_id in ids:
        record = folder.ended(task_id)
        assert record.state is TaskState.FINISHED
        assert record.owner is not None
        assert record.owner.pid != process.pid


@pytest.mark.docker
def test_the_time_limit_of_a_task_holds_after_its_script_died(folder: Folder) -> None:
    (task_id,) = folder.submit("echo begun; sleep 60", timeout=3)
    record = folder.ended(task_id)
    assert (record.cause, record.exit_code) == ("TIMEOUT", 143)
    assert (folder.home / "tasks" / task_id / "logs/task.log").read_text() == "begun\n"


@pytest.mark.docker
def test_queued_tasks_start_after_their_script_died(folder: Folder) -> None:
    ids = folder.submit(*["sleep 0.2; echo 7 > /outputs/sum"] * 2, cpus=float(os.cpu_count() or 1))
    assert [folder.ended(task_id).state for task_id in ids] == [TaskState.FINISHED] * 2


@pytest.mark.docker
def test_there_is_one_supervisor_which_shows_up_and_can_be_stopped(folder: Folder) -> None:
    (task_id,) = folder.submit("sleep 60")
    pid = folder.pid()
    assert supervisor_process.start(Settings(home=folder.home))
    assert folder.pid() == pid
    assert os.getsid(pid) != os.getsid(0)  # survives a hangup of the terminal
    until(lambda: pid == getattr(folder.record(task_id).owner, "pid", None))
    shown = json.loads(folder.command("status", task_id, "--json").stdout)
    assert (shown["detached"], shown["supervised"], shown["owner_gone"]) == (True, True, False)
    assert f"supervisor {pid}" in folder.command("describe", task_id).stdout
    assert f"process {pid}" in folder.command("doctor").stdout
    # When it is stopped, the task is kept for the next process, and is listed as such
    os.kill(pid, signal.SIGTERM)
    until(lambda: supervision.running_pid(folder.home) is None)
    listed = folder.command("list")
    assert f"`localrun wait {task_id[:8]}` resumes it" in listed.stderr
    killed = folder.command("kill", task_id, "--now")
    assert killed.stdout == f"{task_id[:8]} KILLED\n", killed.stderr


@pytest.mark.docker
def test_the_next_process_judges_by_the_times_of_the_engine(
    folder: Folder, docker_engine: DockerEngine
) -> None:
    # Given a task that ended in time, but whose time limit is over when the next process looks
    script = "until [ -e /outputs/go ]; do sleep 0.05; done; rm /outputs/go; echo 7 > /outputs/sum"
    (task_id,) = folder.submit(script, timeout=600, end="os._exit(0)")
    until(lambda: any(found.running for found in docker_engine.find({LABEL_TASK: task_id})))
    os.kill(folder.pid(), signal.SIGKILL)
    (folder.home / "tasks" / task_id / "outputs/go").touch()
    (found,) = docker_engine.find({LABEL_TASK: task_id})
    exit_ = docker_engine.wait(found.handle)
    assert exit_.seconds is not None
    limit = exit_.seconds + 0.5
    TaskStore(folder.home).open(task_id).save(folder.record(task_id).replace(timeout=limit))
    time.sleep(limit)

    # When that process ends it, then it is finished
    waited = folder.command("wait", task_id)
    record = folder.record(task_id)
    assert (waited.returncode, record.state, record.outputs) == (0, TaskState.FINISHED, {"sum": 7})


@pytest.mark.docker
def test_it_is_gone_with_its_folder(folder: Folder, docker_engine: DockerEngine) -> None:
    (task_id,) = folder.submit("sleep 60")
    pid = folder.pid()
    until(lambda: "resumed task" in (folder.home / supervision.LOG).read_text())
    folder.home.rename(folder.path / "deleted")
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert docker_engine.find({LABEL_TASK: task_id}) == []
