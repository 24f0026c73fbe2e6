"""`localrun shell`: a shell in the setup of a task, on a real engine."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_HOME
from tests.cli.command import Command
from tests.support.environment import DESCRIPTOR
from tests.support.images import busybox_layer, image_archive, tar_of
from tests.support.terminal import TerminalProcess, on_terminal
from tests.support.waiting import until as wait_until

docker = pytest.mark.docker


@dataclass
class Desk:
    """A folder with a bundle whose program fails, and the names of images with and without a shell."""

    folder: Path
    engine: DockerEngine
    image: str
    bare: str

    @property
    def environment(self) -> dict[str, str]:
        places = {"LOCALRUN_HOME": "home", "LOCALRUN_CACHE": "cache", "LOCALRUN_LEDGER": "ledger/l.json"}
        return {name: str(self.folder / place) for name, place in places.items()}

    def arguments(self, *more: object, image: str = "") -> tuple[object, ...]:
        """Return the arguments for the bundle with two values."""
        return ("descriptor.yml", "--image", image or self.image, "-i", "a=3", "-i", "b=4", *more)

    def pipe(self, text: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command with this standard input."""
        return subprocess.run(
            [sys.executable, "-m", "localrun", *map(str, arguments)],
            input=text,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def containers(self) -> list[str]:
        """Return the containers of this folder."""
        found = self.engine.find({LABEL_HOME: ""})
        return [one.handle for one in found if one.labels[LABEL_HOME].startswith(str(self.folder))]


@pytest.fixture
def desk(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[Desk]:
    names = [f"localrun-test/{kind}:{secrets.token_hex(4)}" for kind in ("shell", "bare")]
    config: dict[str, Any] = {
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["echo failed; exit 4"],
        "WorkingDir": "/srv",
        "Env": ["PATH=/bin", "COLOUR=blue"],
        "User": "1234:56",
    }
    docker_engine.load_image([image_archive(busybox_layer({}), names[0], **config)])
    docker_engine.load_image([image_archive(tar_of({"main": b"x"}), names[1], Entrypoint=["/main"])])
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    try:
        yield Desk(tmp_path, docker_engine, *names)
    finally:
        for name in names:
            docker_engine.remove_image(name)


SETUP = """\
id -u; pwd; echo $COLOUR; cat /inputs/a; echo; ls -A /outputs; ls /sys/class/net
touch /inputs/new || echo refused
cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null
echo result > /outputs/result
exit 7
"""


@docker
def test_a_shell_has_the_setup_of_the_task(desk: Desk) -> None:
    ended = desk.pipe(SETUP, "shell", *desk.arguments("-o", "copy"))
    assert ended.returncode == 7, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[:6] == ["1234", "/srv", "blue", "3", "lo", "refused"]
    if "memory" not in desk.engine.info().unenforced:
        assert lines[6:] in (["67108864"], [])  # not visible on every engine
    assert "program:  /bin/sh -c 'echo failed; exit 4'\n" in ended.stderr
    assert "folder:   /srv, as 1234:56\n" in ended.stderr
    assert (desk.folder / "copy/result").read_text() == "result\n"
    assert desk.containers() == []
    assert json.loads(desk.pipe("", "list", "--json").stdout) == []


@docker
def test_a_shell_of_a_task_has_its_inputs_except_those_that_are_given(desk: Desk) -> None:
    desk.pipe("", "run", *desk.arguments("--memory", "32Mi", "-q"))
    for given, values in (((), "34"), (("-i", "b=9"), "39")):
        ended = desk.pipe("cat /inputs/a /inputs/b; touch /outputs/x", "shell", "last", *given)
        assert (ended.returncode, ended.stdout) == (0, values), ended.stderr
        assert "the output folder with 1 file was deleted; -o DIR copies it\n" in ended.stderr
    assert len(json.loads(desk.pipe("", "list", "--json").stdout)) == 1


@docker
def test_an_image_without_a_shell_gets_the_busybox_of_this_machine(desk: Desk) -> None:
    ended = desk.pipe("ls /main; id -u", "shell", *desk.arguments(image=desk.bare))
    assert ended.stdout.splitlines() == ["/main", "0"], ended.stderr
    assert "shell:    /.localrun/busybox sh, which is /" in ended.stderr


def until(terminal: TerminalProcess, words: str) -> None:
    """Type the command that prints the words, in two parts, so that its echo is not taken for its output."""
    half = len(words) // 2
    terminal.type(f"echo {words[:half]}''{words[half:]}\n".encode())
    terminal.until(words)


@docker
def test_a_shell_on_a_terminal_gets_every_key_and_its_size(desk: Desk) -> None:
    with on_terminal("shell", *desk.arguments(), cwd=desk.folder, env=desk.environment) as terminal:
        until(terminal, "started")
        terminal.type(b"echo here; sleep 1000\n")
        terminal.until("here\r\n")
        terminal.type(b"\x03")  # Ctrl+C is for the program
        until(terminal, "continued")
        terminal.type(b"exit 9\n")
        assert terminal.wait() == 9
    assert desk.containers() == []


@docker
def test_a_failed_run_opens_a_shell_on_a_terminal_and_keeps_its_exit_code(desk: Desk) -> None:
    arguments = ("run", "--shell-on-failure", *desk.arguments())
    with on_terminal(*arguments, cwd=desk.folder, env=desk.environment) as terminal:
        terminal.until("EXIT_NONZERO")
        until(terminal, "in the shell")
        terminal.type(b"exit\n")
        assert terminal.wait() == 1
    ended = desk.pipe("", *arguments, "-q")
    assert ended.returncode == 1
    assert "warning: no shell was opened: there is no terminal; `localrun shell " in ended.stderr
    both = desk.pipe("", *arguments, "--json")
    assert (both.returncode, "exclude each other" in both.stderr) == (2, True)


@docker
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_shell_that_is_stopped_leaves_no_container_and_no_folder(
    desk: Desk, number: signal.Signals
) -> None:
    with on_terminal("shell", *desk.arguments(), cwd=desk.folder, env=desk.environment) as terminal:
        until(terminal, "started")
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + signal.SIGINT
    wait_until(lambda: not desk.containers())
    assert not list((desk.folder / "home").glob(".shell*"))


def test_what_is_neither_a_task_nor_a_bundle_is_an_error(localrun: Command) -> None:
    result = localrun("shell", "0123")
    assert (result.code, "0123" in result.err) == (2, True)
    result = localrun("shell", "./none")
    assert (result.code, "no such" in result.err.lower()) == (3, True)
