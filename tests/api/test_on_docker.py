"""A task in a real container outlives the script that submitted it, however the script ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import localrun
from localrun import settings
from localrun.app import App
from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from tests.conftest import ROOT
from tests.support.busybox_image import busybox_image
from tests.support.environment import DESCRIPTOR

pytestmark = pytest.mark.docker

# Counts its runs, and ends when a file appears among its outputs.
PROGRAM = """\
echo ran >> /outputs/runs
until [ -e /outputs/go ]; do sleep 0.05; done
rm /outputs/go
echo $(( $(cat /inputs/a) + $(cat /inputs/b) )) > /outputs/sum
"""
SUBMIT = """\
import sys, localrun

def submit(**more):
    task = localrun.submit("descriptor.yml", use_image=sys.argv[1], pull="never", a=3, b=4, **more)
    print(task.id, flush=True)
    return task

"""


@dataclass
class Lab:
    """A folder in which scripts run, and the view of another process on it."""

    folder: Path
    image: str
    engine: DockerEngine
    environment: dict[str, str]

    def script(self, code: str) -> subprocess.Popen[str]:
        """Start a script that may call `submit()`, which prints the id of its task."""
        return subprocess.Popen(
            [sys.executable, "-c", SUBMIT + code, self.image],
            cwd=self.folder,
            env={**os.environ, **self.environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def task(self, script: subprocess.Popen[str]) -> localrun.Task:
        """A handle of this process on the next task of a script."""
        assert script.stdout is not None
        return localrun.Task(script.stdout.readline().strip(), self.folder / ".localrun")

    def let_go(self, task: localrun.Task) -> None:
        """Release the program of a task."""
        (task.folder / "outputs/go").touch()

    def containers(self, task: localrun.Task) -> int:
        """Return the number of containers of a task."""
        return len(self.engine.find({LABEL_TASK: task.id}))


@pytest.fixture
def lab(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[Lab]:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    environment = {
        "LOCALRUN_HOME": str(tmp_path / ".localrun"),
        "LOCALRUN_LEDGER": str(tmp_path / "ledger/l.json"),
        "LOCALRUN_CACHE": str(tmp_path / "cache"),
        "LOCALRUN_GRACE": "1",
    }
    app = App(settings.load(environment), docker_engine)
    with busybox_image(docker_engine, "sh", "-c", PROGRAM) as name:
        try:
            with localrun.using(app):
                yield Lab(tmp_path, name, docker_engine, environment)
        finally:
            app.manager.shutdown(0)
            for record in app.tasks():
                for found in docker_engine.find({LABEL_TASK: record.id}):
                    docker_engine.remove(found.handle)


def ended(lab: Lab, task: localrun.Task) -> None:
    """The task ends as it should, having run once, and leaves no container."""
    lab.let_go(task)
    assert (task.wait(60), task.outputs) == ("FINISHED", {"sum": 7})
    assert (task.folder / "outputs/runs").read_text() == "ran\n"
    assert lab.containers(task) == 0


def test_a_task_outlives_a_script_that_is_killed_while_it_waits(lab: Lab) -> None:
    script = lab.script("submit().wait()")
    task = lab.task(script)
    task.wait_for("RUNNING", 60)
    script.kill()
    script.communicate()
    assert task.is_running
    assert lab.containers(task) == 1
    ended(lab, task)


def test_a_task_outlives_ctrl_c(lab: Lab) -> None:
    script = lab.script("submit().wait()")
    task = lab.task(script)
    task.wait_for("RUNNING", 60)
    script.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in script.communicate(timeout=60)[1]
    assert task.is_running
    ended(lab, task)


def test_a_task_whose_script_ends_after_it_was_submitted_runs_all_the_same(lab: Lab) -> None:
    script = lab.script("submit()")
    task = lab.task(script)
    assert script.wait(60) == 0
    assert (task.status, lab.containers(task)) == ("RUNNING", 1)
    assert script.communicate()[1] == ""
    ended(lab, task)


def test_a_task_is_stopped_by_ctrl_c_in_a_sync_context(lab: Lab) -> None:
    script = lab.script("task = submit()\nwith task.sync_context():\n    task.wait()")
    task = lab.task(script)
    task.wait_for("RUNNING", 60)
    script.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in script.communicate(timeout=60)[1]
    assert (task.status, lab.containers(task)) == ("KILLED", 0)


def test_a_task_outlives_its_script_killed_at_any_moment(lab: Lab) -> None:
    tasks = []
    for tenths in range(6):
        script = lab.script("submit().wait()")
        tasks.append(lab.task(script))
        try:
            script.wait(tenths / 20)
        except subprocess.TimeoutExpired:
            script.kill()
        script.communicate()
    for task in tasks:
        lab.let_go(task)
    assert localrun.wait_all(tasks, 60) == ["FINISHED"] * len(tasks)
    for task in tasks:
        assert (task.folder / "outputs/runs").read_text() == "ran\n", task
        assert lab.containers(task) == 0


def test_queued_tasks_outlive_their_script(lab: Lab) -> None:
    cpus = lab.engine.info().cpus
    script = lab.script(f"first, *others = [submit(cpus={cpus}) for _ in range(3)]\nfirst.wait()")
    tasks = [lab.task(script) for _ in range(3)]
    tasks[0].wait_for("RUNNING", 60)
    assert [task.position_in_queue for task in tasks] == [None, 0, 1]
    script.kill()
    script.communicate()
    for task in tasks:
        lab.let_go(task)
    assert localrun.wait_all(tasks, 60) == ["FINISHED"] * 3


def test_a_script_that_ends_does_not_wait_for_queued_tasks(lab: Lab) -> None:
    cpus = lab.engine.info().cpus
    script = lab.script(f"submit(cpus={cpus}).wait_for('RUNNING')\nsubmit(cpus={cpus})")
    first, second = lab.task(script), lab.task(script)
    assert script.wait(60) == 0  # although the second task cannot start yet
    script.communicate()
    for task in (first, second):
        lab.let_go(task)
    assert localrun.wait_all([first, second], 60) == ["FINISHED"] * 2


def test_a_task_of_a_dead_script_is_ended_by_the_command_that_kills(lab: Lab) -> None:
    script = lab.script("submit().wait()")
    task = lab.task(script)
    task.wait_for("RUNNING", 60)
    script.kill()
    script.communicate()
    command = [sys.executable, "-m", "localrun", "kill", task.id[:8]]
    environment = {**os.environ, **lab.environment, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, env=environment, cwd=lab.folder, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, f"{task.id[:8]} KILLED\n"), ran.stderr
    assert lab.containers(task) == 0


def test_other_commands_leave_the_task_of_a_dead_script_alone(lab: Lab) -> None:
    script = lab.script("submit().wait()")
    task = lab.task(script)
    task.wait_for("RUNNING", 60)
    script.kill()
    script.communicate()
    App(settings.load(lab.environment), lab.engine).recovery.end_orphans()
    assert task.is_running
    ended(lab, task)
