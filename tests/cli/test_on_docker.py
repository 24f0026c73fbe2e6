"""The command on a real engine, mostly as a separate process."""

from __future__ import annotations

import json
import os
import pty
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from localrun.task import supervision
from tests.cli.command import Process, Result, call
from tests.conftest import OtherUser
from tests.support.busybox_image import busybox_image
from tests.support.environment import DESCRIPTOR

pytestmark = pytest.mark.docker

# What the task does is in its input `a`: one image plays all parts.
SCRIPT = r"""
case $(cat /inputs/a) in
  1) echo working; echo 7 > /outputs/sum ;;
  2) echo ready; exec sleep 60 ;;
  3) trap '' TERM; echo ready; while :; do sleep 1; done ;;
  4) printf '\033]0;title\007bad\n' >&2; exit 3 ;;
  5) echo one; while [ ! -e /inputs/../outputs/go ]; do sleep 0.05; done; echo two
     echo 7 > /outputs/sum; rm /outputs/go ;;
esac
"""


@dataclass
class Place:
    """A folder with a bundle, and an engine."""

    folder: Path
    image: str
    engine: DockerEngine
    capsys: pytest.CaptureFixture[str]

    def start(self, *arguments: object, **env: str) -> Process:
        """Start a command."""
        return Process(*arguments, cwd=self.folder, env={**self.environment, **env})

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment with the folders of the commands."""
        return {
            "LOCALRUN_HOME": str(self.folder / "home"),
            "LOCALRUN_CACHE": str(self.folder / "cache"),
            "LOCALRUN_LEDGER": str(self.folder / "ledger" / "l.json"),
        }

    def call(self, *arguments: object, **env: str) -> Result:
        """Run a command in this process."""
        return call(*arguments, cwd=self.folder, env={**self.environment, **env}, capsys=self.capsys)

    def arguments(self, part: int, *more: object) -> tuple[object, ...]:
        """Return the arguments of `run` for this part of the script."""
        return ("run", "descriptor.yml", "--image", self.image, "-i", f"a={part}", "-i", "b=0", *more)

    def run(self, part: int, *more: object, **env: str) -> Process:
        """Start a task."""
        return self.start(*self.arguments(part, *more), **env)

    def containers(self, task_id: str) -> list[str]:
        """Return the containers of a task."""
        return [found.handle for found in self.engine.find({LABEL_TASK: task_id})]

    def newest(self) -> dict[str, Any]:
        """Return the `status` of the newest task."""
        found: dict[str, Any] = self.call("status", "last", "--json").json
        return found


@pytest.fixture
def place(docker_engine: DockerEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Place]:
    """Return a folder with a bundle whose image is in the engine."""
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    with busybox_image(docker_engine, "sh", "-c", SCRIPT) as name:
        yield Place(tmp_path, name, docker_engine, capsys)


def test_a_whole_run_shows_its_outputs_and_leaves_no_container(place: Place) -> None:
    with place.run(1) as process:
        result = process.result()
    assert result.code == 0
    assert result.out.startswith("output sum: 7\n")
    assert "] out | working\n" in result.err
    assert place.containers(place.newest()["id"]) == []


def test_json_alone_is_on_standard_output_and_a_locale_without_letters_is_no_hindrance(place: Place) -> None:
    with place.run(1, "--json", LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0") as process:
        result = process.result()
    assert (result.code, result.json["outputs"]) == (0, {"sum": 7})


def test_a_reader_that_leaves_does_not_end_the_run_in_an_error(place: Place) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "localrun", *map(str, place.arguments(1))]
    env = {**os.environ, "LOCALRUN_HOME": str(place.folder / "home")}
    result = subprocess.run(
        command, cwd=place.folder, env=env, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert result.returncode == 0
    assert "Broken" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_task_killed_and_leaves_no_container(place: Place, number: signal.Signals) -> None:
    with place.run(2, "--json") as process:
        process.read_until("out | ready")
        process.send_signal(number)
        result = process.result()
    assert (result.code, result.json["state"], result.json["cause"]) == (130, "KILLED", "KILLED")
    assert place.containers(result.json["id"]) == []
    assert "Traceback" not in result.err


def test_a_second_ctrl_c_ends_a_task_that_ignores_the_first_at_once(place: Place) -> None:
    with place.run(3, "--json", LOCALRUN_GRACE="60") as process:
        process.read_until("out | ready")
        process.send_signal(signal.SIGINT)
        process.read_until("stopping (press Ctrl+C again to kill)")
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        result = process.result()
    assert time.monotonic() - begun < 50
    assert (result.code, result.json["state"]) == (130, "KILLED")
    assert place.containers(result.json["id"]) == []


def test_a_task_is_killed_from_another_process(place: Place) -> None:
    with place.run(2, "--json") as process:
        process.read_until("out | ready")
        killed = place.call("kill", "last", "--json").json
        result = process.result()
    assert (killed["state"], result.code, result.json["id"]) == ("KILLED", 130, killed["id"])


def test_what_a_killed_process_left_is_ended_by_the_next_run(place: Place) -> None:
    with place.run(2) as process:
        process.read_until("out | ready")
        process.kill()
        process.wait()
    left = place.newest()
    assert (left["state"], left["owner_gone"], len(place.containers(left["id"]))) == ("RUNNING", True, 1)
    assert place.call(*place.arguments(1)).code == 0
    swept = place.call("status", left["id"], "--json").json
    assert (swept["state"], swept["cause"]) == ("FAILED", "RUNNER_TERMINATED")
    assert place.containers(left["id"]) == []


def test_a_log_is_followed_while_the_task_writes_it(place: Place) -> None:
    with place.run(5) as process:
        process.read_until("out | one")
        with place.start("logs", "last", "-f") as logs:
            assert logs.stdout is not None
            assert logs.stdout.readline() == "one\n"
            Path(place.newest()["folder"], "outputs", "go").touch()
            assert logs.result() == Result(0, "two\n", "")
        assert process.result().code == 0


def test_outputs_are_copied_by_run_and_by_outputs_alike(place: Place) -> None:
    assert place.call(*place.arguments(1, "-o", "out")).code == 0
    assert place.call("outputs", "last", "-o", "later").code == 0
    assert (place.folder / "out/sum").read_bytes() == (place.folder / "later/sum").read_bytes() == b"7\n"


@pytest.mark.parametrize(
    ("part", "more", "env", "code"),
    [
        (4, (), {}, 1),
        (1, ("--nonsense",), {}, 2),
        ("x", (), {}, 3),
        (1, ("--memory", "900Ti"), {}, 4),
        (1, (), {"LOCALRUN_DOCKER_HOST": "unix:///nowhere.sock"}, 5),
        (2, ("--timeout", "300ms"), {}, 124),
    ],
)
def test_every_row_of_the_table_of_exit_codes_is_met(
    place: Place, part: Any, more: tuple[str, ...], env: dict[str, str], code: int
) -> None:
    result = place.call(*place.arguments(part, *more), **env)
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    assert "hint: " in result.err


def test_a_terminal_shows_steps_and_a_table_and_obeys_no_command_of_the_task(place: Place) -> None:
    screen = on_a_terminal(place, 4, TERM="xterm", LANG="C.UTF-8")
    assert "│ " in screen
    assert "\\x1b]0;title\\x07bad" in screen
    assert "\x1b]0;title" not in screen
    assert "✗ " in screen
    assert "EXIT_NONZERO" in screen


def test_a_dumb_terminal_and_no_color_get_what_they_can_show(place: Place) -> None:
    assert "\x1b" not in on_a_terminal(place, 1, TERM="dumb", LANG="C.UTF-8")
    plain = on_a_terminal(place, 1, TERM="xterm", LANG="C", NO_COLOR="1")
    assert plain.isascii()
    assert "\x1b[3" not in plain


def on_a_terminal(place: Place, part: int, **env: str) -> str:
    """Return all output of a run on a terminal."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "localrun", *map(str, place.arguments(part))]
    kept = {
        name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LC_CTYPE", "NO_COLOR")
    }
    with subprocess.Popen(
        command,
        cwd=place.folder,
        env={**kept, "LOCALRUN_HOME": str(place.folder / "home"), **env},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ):
        os.close(slave)
        written = b"".join(iter(lambda: read(master), b""))
    os.close(master)
    return written.decode()


def read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # raised when the other end of the terminal is closed
        return b""


def test_an_ordinary_user_of_the_docker_group_runs_a_task(place: Place, as_other_user: Any) -> None:
    folder = as_other_user.folder(secrets.token_hex(4))
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    ran = as_other_user.localrun(*map(str, place.arguments(1, "--json", "--pull", "never")), cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["outputs"] == {"sum": 7}
    assert as_other_user.localrun("rm", "last", cwd=folder).returncode == 0


SUBMIT = "import localrun, sys; print(localrun.submit('descriptor.yml', use_image=sys.argv[1], a=5, b=0).id)"


def submitted(place: Place) -> str:
    """Return the ID of a task whose script has ended, so that no process owns it."""
    done = subprocess.run(
        [sys.executable, "-c", SUBMIT, place.image],
        cwd=place.folder,
        env={**os.environ, **place.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def go_on(place: Place, task_id: str) -> None:
    (place.folder / "home" / "tasks" / task_id / "outputs" / "go").touch()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_can_go_and_the_next_one_gets_the_outputs(place: Place, number: signal.Signals) -> None:
    task_id = submitted(place)
    with place.start("wait", task_id) as process:  # the submitting process has ended: resumed here
        process.read_until("out | one")
        process.send_signal(number)
        result = process.result()
    assert result.code == 130
    assert f"stopped waiting; task {task_id[:8]} continues" in result.err
    assert len(place.containers(task_id)) == 1
    go_on(place, task_id)
    again = place.call("wait", task_id)
    assert (again.code, again.out.splitlines()[0]) == (0, "output sum: 7")
    assert place.containers(task_id) == []


@pytest.mark.parametrize("command", ["logs", "tail"])
def test_who_follows_a_task_that_nobody_carries_sees_all_of_it_and_can_go(place: Place, command: str) -> None:
    task_id = submitted(place)
    with place.start(command, task_id, "-f") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        process.communicate()
    assert len(place.containers(task_id)) == 1
    assert supervision.stop(place.folder / "home")
    assert "no process is recording the output of task" in place.call(command, task_id).err
    go_on(place, task_id)
    result = place.call(command, task_id, "-f")
    assert (result.code, result.out, result.err) == (0, "one\ntwo\n", "")
    assert place.call("status", task_id, "--json").json["state"] == "FINISHED"


def test_a_user_who_may_not_use_the_engine_is_told_how_to_become_one_who_may(
    place: Place, as_other_user: OtherUser
) -> None:
    stranger = replace(as_other_user, groups=())
    folder = as_other_user.folder(secrets.token_hex(4))
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    ran = stranger.localrun(*map(str, place.arguments(1, "--json")), cwd=folder)
    record = json.loads(ran.stdout)
    assert (ran.returncode, record["cause"]) == (5, "ENGINE_UNREACHABLE")
    assert "Permission denied" in record["message"]
    assert "group" in record["remedy"]


# what a run that was done before must not wait for: each costs between 5 ms and as much as a container
DEAR = (
    "yaml",
    "http.client",
    "ssl",
    "docker",
    "requests",
    "pydantic",
    "filelock",
    "rich",
    "numpy",
    "shapely",
    "psutil",
    "secrets",
    "localrun.masking.redaction",
)


def test_the_second_run_of_a_bundle_imports_nothing_dear(place: Place) -> None:
    arguments = [str(word) for word in place.arguments(1, "--quiet")]
    script = (
        "import sys; from localrun.cli import main;"
        f" code = main({arguments!r});"
        f" print(code, *sorted({set(DEAR)!r} & set(sys.modules)))"
    )

    def once() -> str:
        ran = subprocess.run(
            [sys.executable, "-c", script],
            cwd=place.folder,
            env={**os.environ, **place.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout.splitlines()[-1]

    assert once() == "0 yaml"  # the first run reads the descriptor
    assert once() == "0"
