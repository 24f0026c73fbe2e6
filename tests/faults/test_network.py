"""Without `network`, a task cannot reach this machine; with it, the same task can. On any engine."""

from __future__ import annotations

import contextlib
import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import localrun
from localrun.engines.dockerd import DockerEngine
from tests.support.busybox_image import busybox_image
from tests.support.environment import DESCRIPTOR, make_environment
from tests.support.server_client import serve_environment
from tests.support.session import inherited_environment

pytestmark = pytest.mark.docker

REACHED = "reached-this-machine"
# The gateway of a bridge is this machine. Rootless engines translate addresses: 10.0.2.2 (slirp4netns),
# 169.254.1.2 (pasta), or any address of this machine.
SCRIPT = """\
for at in $(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p') 10.0.2.2 169.254.1.2 ADDRESSES; do
  nc -w 2 $at PORT < /dev/null 2> /dev/null
done
echo 7 > /outputs/sum
"""


class Listener:
    """A server on all addresses of this machine that counts its connections."""

    def __init__(self) -> None:
        self.connections = 0
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer.connections += 1
                with contextlib.suppress(OSError):
                    self.request.sendall(f"{REACHED}\n".encode())

        self._server = socketserver.ThreadingTCPServer(("0.0.0.0", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def own_addresses() -> list[str]:
    """The addresses of this machine, apart from its loopback."""
    found = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout
    return [address for address in found.split() if "." in address]


@pytest.fixture
def caller(docker_engine: DockerEngine, listener: Listener) -> Iterator[str]:
    """An image whose program calls the listener."""
    script = SCRIPT.replace("PORT", str(listener.port)).replace("ADDRESSES", " ".join(own_addresses()))
    with busybox_image(docker_engine, "sh", "-c", script) as name:
        yield name


def log_of(record_folder: str | Path) -> str:
    return (Path(record_folder) / "logs/task.log").read_text()


Way = Callable[[DockerEngine, Path, str, bool], str]


def _command(_engine: DockerEngine, folder: Path, image: str, network: bool) -> str:
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    options = [*(["--network"] if network else []), "--json", "-i", "a=3", "-i", "b=4", "--pull", "never"]
    found = subprocess.run(
        [sys.executable, "-m", "localrun", "run", "descriptor.yml", "--image", image, *options],
        cwd=folder,
        env=inherited_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return log_of(json.loads(found.stdout)["folder"])


def _python(engine: DockerEngine, folder: Path, image: str, network: bool) -> str:
    with make_environment(folder, engine=engine, image=image) as env, localrun.using(env.app):
        task = localrun.submit(
            env.bundle, a=3, b=4, use_image=image, network=network, home=env.app.settings.home
        )
        task.wait()
        return log_of(task.folder)


def _http(engine: DockerEngine, folder: Path, image: str, network: bool) -> str:
    with serve_environment(folder, engine=engine) as server:
        made = server.post({**server.bundle(a=3, b=4), "image": image, "network": network})
        task_id = str(made["task_id"])
        record = server.env.app.manager.wait_for(task_id)
    assert record is not None
    return log_of(record.folder)


def _replicas(engine: DockerEngine, folder: Path, image: str, network: bool) -> str:
    with make_environment(folder, engine=engine, image=image) as env:
        parent = env.run(values={"a": 3, "b": 4}, network=network, replicas=2)
        return "".join(log_of(replica.folder) for replica in env.app.replicas(parent))


@pytest.mark.parametrize("way", [_command, _python, _http, _replicas])
def test_only_a_task_with_a_network_reaches_this_machine(
    way: Way, docker_engine: DockerEngine, caller: str, listener: Listener, tmp_path: Path
) -> None:
    # Given a task with a network, which reaches this machine
    if REACHED not in way(docker_engine, tmp_path, caller, True):
        pytest.skip("on this engine, containers with a network cannot reach this machine")

    # When the same task runs without one
    before = listener.connections
    log = way(docker_engine, tmp_path, caller, False)

    # Then it does not
    assert REACHED not in log
    assert listener.connections == before
