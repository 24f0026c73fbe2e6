"""Start an engine in a view, and wait until it answers."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.machines.users import User

DEADLINE = 180  # seconds for an engine to answer
ROOTLESS_DOCKERD = "/usr/share/docker.io/contrib/dockerd-rootless.sh"  # of the package docker.io
PODMAN_LIMIT = 1048576
# Debian's defaults are for systemd and cgroup v2. Podman asks for more open files and processes than a
# machine may allow. Old versions read the init in [engine].
CONTAINERS_CONF = """\
[containers]
cgroupns = "host"
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
init_path = "/usr/bin/catatonit"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
init_path = "/usr/bin/catatonit"
runtime = "runc"
[network]
network_backend = "netavark"
"""


def start_docker(folder: Path, user: User, *options: str, containerd_store: bool = False) -> str:
    """Start `dockerd` with its usual socket and more options; return its address."""
    socket = user.runtime / "docker.sock" if user.prefix else Path("/run/docker.sock")
    features = {"containerd-snapshotter": containerd_store} if containerd_store else {}
    (folder / "daemon.json").write_text(json.dumps({"features": features}))
    places = [f"--{name}={user.home}/{name}" for name in ("data-root", "exec-root", "pidfile")]
    command = [ROOTLESS_DOCKERD if user.prefix else "dockerd", f"--config-file={folder}/daemon.json"]
    return _start([*command, "-H", f"unix://{socket}", *places, *options], socket, folder, user)


def start_podman(folder: Path, user: User) -> str:
    """Start the API of `podman`; return its address."""
    text = CONTAINERS_CONF.format(
        files=_at_most(resource.RLIMIT_NOFILE), processes=_at_most(resource.RLIMIT_NPROC)
    )
    Path("/etc/containers/containers.conf").write_text(text)
    socket = Path("/run/podman/podman.sock") if not user.prefix else user.runtime / "podman" / "podman.sock"
    subprocess.run([*user.prefix, "mkdir", "-p", str(socket.parent)], check=True)
    places = [f"--root={user.home}/storage", f"--runroot={user.runtime}/containers"]
    command = ["podman", *places, "system", "service", "--time=0", f"unix://{socket}"]
    host = _start(command, socket, folder, user)
    socket.parent.chmod(0o755)  # for members of the socket's group, as with Docker
    socket.chmod(0o660)
    return host


def _at_most(kind: int) -> int:
    """Return the machine's limit, or Podman's own if that is lower."""
    limit = resource.getrlimit(kind)[1]
    return PODMAN_LIMIT if limit == resource.RLIM_INFINITY else min(limit, PODMAN_LIMIT)


def _start(command: Sequence[str], socket: Path, folder: Path, user: User) -> str:
    """Start an engine, which ends with the view."""
    host = f"unix://{socket}"
    log = folder / "engine.log"
    cwd = user.home  # conmon leaves a file in its current folder
    with log.open("ab") as stream:
        environ = os.environ | user.environment()
        process = subprocess.Popen(
            [*user.prefix, *command], stdout=stream, stderr=stream, env=environ, cwd=cwd
        )
    deadline = time.monotonic() + DEADLINE
    while subprocess.run(["docker", "-H", host, "info"], capture_output=True, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the engine does not start: {' '.join(command)}\n{log.read_text()[-3000:]}")
        time.sleep(0.1)
    return host
