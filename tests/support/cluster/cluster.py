"""A Dask cluster of two nodes, and commands of a client next to its scheduler."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.conftest import skip_or_fail
from tests.support.cluster.keeper import cgroups
from tests.support.cluster.processes import Command, below, enter, wait_until
from tests.support.cluster.site import GATEWAY, NODES, address, interface
from tests.support.session import inherited_environment

ROOT = Path(__file__).parents[3]
DASK = str(Path(sys.executable).parent / "dask")
PORT = 8786
WORKER = ("--nworkers", "1", "--nthreads", "4")
PLACE = Path("/var/tmp")  # not /tmp, which nodes do not see


class Node:
    """A node: its name, its first process, and its folder."""

    def __init__(self, name: str, folder: Path, pid: int, gateway: list[str]) -> None:
        self.name = name
        self.folder = folder
        self.pid = pid
        self.gateway = gateway
        self.worker: Command | None = None
        self._logs = itertools.count(1)

    @property
    def address(self) -> str:
        """The IP address of the node."""
        return address(self.name)

    @property
    def home(self) -> Path:
        """The home directory of the user of the worker."""
        return self.folder / "home"

    @property
    def docker_host(self) -> str:
        """The address of the node's engine for processes of this machine."""
        return f"unix:///proc/{self.pid}/root/run/docker.sock"

    def docker(self, *arguments: str) -> str:
        """Run a docker command on the node's engine, and return what it prints."""
        return run(["docker", "-H", self.docker_host, *arguments])

    def load(self, image: str) -> None:
        """Copy an image of this machine's engine to the node's."""
        archive = self.folder / "image.tar"
        run(["docker", "save", "-o", str(archive), image])
        self.docker("load", "-q", "-i", str(archive))
        archive.unlink()

    @property
    def cpus(self) -> int:
        """The number of processors, which all nodes share."""
        return os.cpu_count() or 1

    def containers(self) -> list[str]:
        """Return the ids of all containers of the node."""
        return self.docker("ps", "-aq").split()

    def run(self, *command: str) -> str:
        """Run a command on the node, and return what it prints."""
        return run([*self._prefix(), *command])

    @contextmanager
    def small_disk(self, size: str) -> Iterator[Path]:
        """Mount a file system of this size on the node."""
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        self.run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk))
        try:
            yield disk
        finally:
            self.run("umount", "--lazy", str(disk))

    def start(self, *command: str, cwd: Path, env: Mapping[str, str] | None = None) -> Command:
        """Start a command on the node."""
        self.home.mkdir(exist_ok=True)
        log = self.folder / f"command-{next(self._logs)}.log"
        # a folder that is entered before the mount namespace would have no path in it
        inside = ("env", f"--chdir={cwd}", *command)
        return Command(self._prefix(), inside, log, environment(self.home, env), self.folder)

    def start_worker(self, scheduler: str, *options: str, env: Mapping[str, str] | None = None) -> Command:
        """Start `dask worker` with one process; do not wait until it is connected."""
        command = [DASK, "worker", scheduler, "--name", self.name, "--host", self.address]
        command += ["--local-directory", str(self.folder / "dask"), "--no-dashboard", *WORKER, *options]
        self.worker = self.start(*command, cwd=self.folder, env=env)
        return self.worker

    def worker_processes(self) -> list[psutil.Process]:
        """Return the processes that run tasks, without the nanny that starts them."""
        assert self.worker is not None
        return [
            each for each in below(self.worker.pid) if any("spawn_main" in part for part in each.cmdline())
        ]

    def received(self) -> int:
        """Return the bytes that the node has received through its network interface."""
        (device,) = json.loads(run([*self.gateway, "ip", "-s", "-j", "link", "show", interface(self.name)]))
        return int(device["stats64"]["tx"]["bytes"])

    def _prefix(self) -> list[str]:
        return enter(self.pid, "mount", "net", "uts", "pid")


class Cluster:
    """Two nodes and a scheduler on one bridge."""

    def __init__(self, folder: Path, keeper: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.keeper = keeper
        self.shared = folder / "shared"
        self.scheduler: Command | None = None
        self.clients: list[Command] = []
        (self.pid,) = (each.pid for each in below(keeper.pid, "tests.support.cluster.site")[-1:])
        gateway = enter(self.pid, "net")
        self.nodes = [
            Node(name, folder / name, below(self.pid, "tests.support.cluster.node", name)[-1].pid, gateway)
            for name in NODES
        ]
        self._logs = itertools.count(1)

    @property
    def address(self) -> str:
        """The address of the scheduler."""
        return f"tcp://{GATEWAY}:{PORT}"

    def start(self, *options: str) -> None:
        """Start the scheduler, and a worker on each node."""
        self.start_scheduler()
        for worker in [node.start_worker(self.address, *options) for node in self.nodes]:
            worker.wait_for("Registered to:")

    def start_scheduler(self, *options: str, protocol: str = "tcp") -> Command:
        """Start the scheduler at its usual address."""
        command = [DASK, "scheduler", "--host", f"{protocol}://{GATEWAY}", "--port", str(PORT)]
        command += ["--no-dashboard", *options]
        self.scheduler = self._command(command, "scheduler", self.folder, {})
        self.scheduler.wait_for("Scheduler at:")
        return self.scheduler

    def client(self, *command: str, cwd: Path, env: Mapping[str, str] | None = None) -> Command:
        """Start a command that reaches the scheduler and uses the engine of this machine."""
        client = self._command(command, "client", cwd, env or {})
        self.clients.append(client)
        return client

    @property
    def is_ready(self) -> bool:
        """Whether the scheduler and all workers run, and no containers."""
        processes = [self.scheduler, *(node.worker for node in self.nodes)]
        run = all(process is not None and process.is_running for process in processes)
        return run and not any(node.containers() for node in self.nodes)

    def stop_clients(self) -> None:
        """Kill the clients that still run."""
        for client in self.clients:
            client.kill()
        self.clients.clear()

    def stop(self) -> None:
        """Stop all processes, and remove their logs and the containers of the nodes."""
        self.stop_clients()
        for process in (*(node.worker for node in self.nodes), self.scheduler):
            if process is not None:
                process.kill()
        self.scheduler = None
        for node in self.nodes:
            node.worker = None
            if containers := node.containers():
                node.docker("rm", "-f", *containers)
            for folder in ("home", "dask"):
                shutil.rmtree(node.folder / folder, ignore_errors=True)
        for path in self.log_files():
            path.unlink()

    def log_files(self) -> list[Path]:
        """Return the logs of all schedulers, workers and clients."""
        return sorted((*self.folder.glob("*-*.log"), *self.folder.glob("node*/*-*.log")))

    def logs(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the end of each log."""
        for path in self.log_files():
            yield path.relative_to(self.folder).as_posix(), path.read_text(errors="replace")[-3000:]

    def _command(self, command: Sequence[str], name: str, cwd: Path, env: Mapping[str, str]) -> Command:
        log = self.folder / f"{name}-{next(self._logs)}.log"
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return Command(enter(self.pid, "net"), command, log, environment(home, env), cwd)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start the nodes, without workers; remove everything at the end, however this process ends."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("dockerd", "docker", "ip", "nsenter"))):
        skip_or_fail("only root can start nodes in namespaces (dockerd, docker, iproute2)")
    folder = PLACE / f"lrc-{secrets.token_hex(3)}"
    for name in ("shared", *NODES):
        (folder / name).mkdir(parents=True)
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.support.cluster.keeper", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert keeper.stdin is not None
    try:
        wait_until(
            lambda: keeper.poll() is not None or all((folder / name / "ready").exists() for name in NODES),
            lambda: (folder / "site.log").read_text()[-3000:],
        )
        yield Cluster(folder, keeper)
    finally:
        keeper.stdin.close()
        keeper.wait()


def leftovers(folder: Path) -> list[str]:
    """Return what is left of a cluster: processes, mounts, control groups and its folder."""
    found = [
        f"mount {line}" for line in Path("/proc/self/mounts").read_text().splitlines() if folder.name in line
    ]
    found += [f"control group {path}" for path in cgroups(folder)]
    found += [str(folder)] if folder.exists() else []
    for process in psutil.process_iter():
        try:
            if any(folder.name in part for part in process.cmdline()):
                found.append(f"process {process.pid} {' '.join(process.cmdline())}")
        except psutil.NoSuchProcess:
            continue
    return found


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment with an own home and reservation file, without settings of this machine."""
    kept = {
        name: value
        for name, value in inherited_environment().items()
        if name not in ("TMPDIR", "DOCKER_HOST")
    }
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    own = {"HOME": str(home), "LOCALRUN_LEDGER": str(home / "ledger" / "l.json"), "PYTHONUNBUFFERED": "1"}
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **own, **(more or {})}


def run(command: Sequence[str]) -> str:
    """Run a command and return what it prints. Raises AssertionError if it fails."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout}{ran.stderr}"
    return ran.stdout
