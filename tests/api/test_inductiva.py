"""The scripts on Inductiva's page about tasks, with the names of localrun, run on a real engine.

There a simulator's `run` makes a task on a machine of the cloud; here `submit` makes one of a bundle on this
machine. What follows is the same: handles by id, waiting that can be broken off, waiting that takes the
task down with it, and the stages of its life.
"""

from __future__ import annotations

import os
import re
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
from tests.cli.command import call
from tests.conftest import ROOT
from tests.support.busybox_image import busybox_image
from tests.support.environment import DESCRIPTOR

pytestmark = pytest.mark.docker

# A simulation: it reads its configuration, reports on its progress, and ends when it is released.
SIMULATION = """\
echo "steps: $(cat /inputs/a)"
n=0
while [ $n -lt 3 ]; do n=$((n + 1)); echo "step $n" >> /outputs/progress; done
[ "$(cat /inputs/b)" = 1 ] && until [ -e /outputs/go ]; do sleep 0.05; done
[ "$(cat /inputs/b)" = 2 ] && { echo "wrong configuration" >&2; exit 3; }
rm -f /outputs/go /outputs/progress
echo 7 > /outputs/sum
"""
QUICK, HELD, WRONG = 0, 1, 2  # the values of input `b`


@dataclass
class Environment:
    """Where a user's scripts are run."""

    folder: Path
    image: str
    engine: DockerEngine
    environment: dict[str, str]
    capsys: pytest.CaptureFixture[str]

    def start(self, script: str) -> subprocess.Popen[str]:
        """Start a user's script as a process; `IMAGE` in it is the image."""
        return subprocess.Popen(
            [sys.executable, "-c", script.replace("IMAGE", repr(self.image))],
            cwd=self.folder,
            env={**os.environ, **self.environment, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str) -> list[str]:
        """Run a script that must succeed. Return the lines that it printed."""
        process = self.start(script)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        return out.splitlines()

    def command(self, *arguments: str) -> str:
        """Return the output of `localrun ARGUMENTS`."""
        done = call(*arguments, cwd=self.folder, env=self.environment, capsys=self.capsys)
        assert done.code == 0, done.err
        return done.out

    def task(self, process: subprocess.Popen[str]) -> localrun.Task:
        """A handle on the task whose id a script prints first."""
        assert process.stdout is not None
        return localrun.Task(process.stdout.readline().strip(), self.folder / ".localrun")

    def containers(self, task: localrun.Task) -> int:
        return len(self.engine.find({LABEL_TASK: task.id}))


@pytest.fixture
def env(
    docker_engine: DockerEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Environment]:
    (tmp_path / "simulation").mkdir()
    (tmp_path / "simulation/descriptor.yml").write_text(DESCRIPTOR)
    environment = {
        "LOCALRUN_HOME": str(tmp_path / ".localrun"),
        "LOCALRUN_LEDGER": str(tmp_path / "ledger/l.json"),
        "LOCALRUN_CACHE": str(tmp_path / "cache"),
        "LOCALRUN_GRACE": "1",
    }
    app = App(settings.load(environment), docker_engine)
    with busybox_image(docker_engine, "sh", "-c", SIMULATION) as name:
        try:
            with localrun.using(app):
                yield Environment(tmp_path, name, docker_engine, environment, capsys)
        finally:
            app.manager.shutdown(0)
            for record in app.tasks():
                for found in docker_engine.find({LABEL_TASK: record.id}):
                    docker_engine.remove(found.handle)


SUBMIT = """
import localrun

task = localrun.submit("simulation/descriptor.yml", use_image=IMAGE, a=3, b=%d)
print(task.id)
"""


# -- creation -----------------------------------------------------------------------------------------


def test_each_submission_makes_a_task_of_its_own_also_with_the_same_arguments(env: Environment) -> None:
    first, second = env.run(
        SUBMIT % QUICK
        + """
task2 = localrun.submit("simulation/descriptor.yml", use_image=IMAGE, a=3, b=0)
print(task2.id)
localrun.wait_all([task, task2])
"""
    )
    assert first != second
    assert [localrun.Task(name, env.folder / ".localrun").outputs for name in (first, second)] == [
        {"sum": 7}
    ] * 2


def test_two_handles_on_one_id_are_one_task_also_in_a_later_session(env: Environment) -> None:
    (task_id,) = env.run(SUBMIT % QUICK + "task.wait()\n")
    lines = env.run(
        f"""
import localrun

task1 = localrun.Task({task_id!r})
task2 = localrun.Task({task_id!r})
print(id(task1) != id(task2), task1 == task2)
print(task1.id)
print(task2.id)
"""
    )
    assert lines == ["True True", task_id, task_id]


# -- execution ----------------------------------------------------------------------------------------


def test_submitting_does_not_wait_and_a_batch_runs_side_by_side(env: Environment) -> None:
    lines = env.run(
        """
import localrun

tasks = [localrun.submit("simulation/descriptor.yml", use_image=IMAGE, a=n, b=0) for n in range(6)]
print(len({task.id for task in tasks}))
print(*localrun.wait_all(tasks))
"""
    )
    assert lines == ["6", " ".join(["FINISHED"] * 6)]


def test_waiting_blocks_until_the_end_and_the_outputs_can_be_downloaded_then(env: Environment) -> None:
    lines = env.run(
        SUBMIT % QUICK
        + """
print(task.wait())
print(task.is_terminal, task.is_failed, task.is_running)
folder = task.download_outputs(filenames=["sum"])
print((folder / "sum").read_text().strip())
"""
    )
    assert lines[1:] == ["FINISHED", "True False False", "7"]
    assert (env.folder / "localrun_output" / lines[0] / "sum").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_task_does_not_die_with_the_session_that_waits_for_it(
    env: Environment, number: signal.Signals
) -> None:
    session = env.start(SUBMIT % HELD + "task.wait()\n")
    task = env.task(session)
    task.wait_for("RUNNING", 60)
    session.send_signal(number)
    session.communicate(timeout=60)
    assert (task.status, env.containers(task)) == ("RUNNING", 1)
    (task.folder / "outputs/go").touch()
    later = env.run(
        f"""
import localrun

task = localrun.Task({task.id!r})
print(task.wait(), task.outputs)
"""
    )
    assert later == ["FINISHED {'sum': 7}"]
    assert env.containers(task) == 0


def test_a_task_dies_with_the_session_that_waits_in_a_sync_context(env: Environment) -> None:
    session = env.start(SUBMIT % HELD + "with task.sync_context():\n    task.wait()\n")
    task = env.task(session)
    task.wait_for("RUNNING", 60)
    session.send_signal(signal.SIGINT)
    session.communicate(timeout=60)
    assert (task.wait(60), env.containers(task)) == ("KILLED", 0)


# -- life cycle ---------------------------------------------------------------------------------------


def stages(env: Environment, task_id: str) -> list[str]:
    """Return the states of a task in the terms of the page."""
    lines = env.command("status", task_id, "--as", "inductiva").splitlines()
    times = [line.strip() for line in lines if re.match(r" +\d{4}-\d\d-\d\d ", line)]
    return [line.split(" ", 2)[2] for line in times]


def test_the_states_of_a_task_have_the_terms_of_the_page(env: Environment) -> None:
    (task_id,) = env.run(SUBMIT % QUICK + "task.wait()\n")
    assert stages(env, task_id) == [
        "Waiting for Input",
        "In Queue",
        "Preparing to Compute",
        "In Progress",
        "Finalizing",
        "Success",
    ]


def test_a_simulation_that_returns_another_code_than_zero_has_failed_and_its_logs_say_why(
    env: Environment,
) -> None:
    lines = env.run(SUBMIT % WRONG + "print(task.wait(), task.is_failed, task.info.exit_code)\n")
    assert lines[1:] == ["FAILED True 3"]
    assert stages(env, lines[0])[-1] == "Failed"
    assert "wrong configuration" in env.command("logs", lines[0])


def test_a_task_that_is_killed_is_killed(env: Environment) -> None:
    lines = env.run(SUBMIT % HELD + "task.wait_for('RUNNING')\nprint(task.kill())\n")
    assert lines[1:] == ["KILLED"]
    assert stages(env, lines[0])[-1] == "Killed"


def test_a_task_over_its_time_limit_has_timed_out(env: Environment) -> None:
    script = SUBMIT.replace("a=3", "a=3, timeout=0.2") % HELD + "print(task.wait())\n"
    lines = env.run(script)
    assert lines[1:] == ["FAILED"]
    assert stages(env, lines[0])[-1] == "Task Timed Out"


def test_output_is_visible_while_a_simulation_runs(env: Environment) -> None:
    lines = env.run(
        SUBMIT % HELD
        + """
import time
while not (task.logs() and [leaf for leaf in task.list_files() if leaf.size >= 21]):
    time.sleep(0.05)
task.tail_files(["progress"], lines=2)
print(task.logs(), end="")
(task.folder / "outputs/go").touch()
print(task.wait())
task.print_summary()
"""
    )
    assert lines[1:5] == ["step 2", "step 3", "steps: 3", "FINISHED"]
    assert f"Task {lines[0]}: FINISHED" in lines


def test_the_commands_for_tasks_have_the_names_that_its_users_know(env: Environment) -> None:
    (task_id,) = env.run(SUBMIT % QUICK + "task.wait()\n")
    assert task_id[:8] in env.command("tasks", "list")
    assert "Timeline:" in env.command("tasks", "info", task_id)
    assert "sum" in env.command("tasks", "list-files", task_id)
    assert env.command("tasks", "tail", task_id, "sum") == "7\n"
    env.command("tasks", "download", task_id)
    assert (env.folder / "localrun_output" / task_id / "outputs/sum").read_text() == "7\n"
