"""Shared fixtures: a real engine, an image for it, another user; and a check for leftovers."""

from __future__ import annotations

import gc
import grp
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _pytest.pytester
import hypothesis
import pytest
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from localrun.engines.dockerd import DockerEngine
from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.builders.clients import Clients
from localrun.errors import EngineUnreachable
from tests.support.busybox_image import busybox_image
from tests.support.images import BUSYBOX
from tests.support.inner_sessions import LibrariesKept
from tests.support.packages import link_localrun
from tests.support.session import INNER_SESSIONS, LeakCheck, threads, use_own_folder

# On CI, use the same examples in every run, so a failure is caused by the change. Locally, explore new ones;
# `make attack` explores many. A busy machine is slow, which is not a fault of the code.
hypothesis.settings.register_profile(
    "localrun",
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "25")),
    derandomize=bool(os.environ.get("CI")),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("localrun")
if "HYPOTHESIS_EXAMPLES" not in os.environ:
    # else it reads all sources in each process, and another constant in any of them changes the examples
    providers._get_local_constants = Constants

ROOT = Path(__file__).parent.parent
_pytest.pytester.SysModulesSnapshot = LibrariesKept  # type: ignore[misc]


def skip_or_fail(reason: str) -> None:
    """Skip the test locally; fail it on CI, where all requirements must be met."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI is set, so this is an error)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_host() -> str | None:
    """The address of the engine under test. Override it to test another engine."""
    return os.environ.get("DOCKER_HOST")


@pytest.fixture(scope="session")
def docker_engine(docker_host: str | None) -> Iterator[DockerEngine]:
    """A real Docker engine."""
    try:
        engine = DockerEngine(docker_host)
        engine.info()
    except EngineUnreachable as error:
        skip_or_fail(f"no container engine: {error.message}")
    yield engine
    engine.close()


@pytest.fixture(autouse=True)
def _needs_docker(request: pytest.FixtureRequest) -> None:
    """Require an engine for tests marked `docker`."""
    if request.node.get_closest_marker("docker"):
        request.getfixturevalue("docker_engine")


@pytest.fixture(scope="session")
def busybox(docker_engine: DockerEngine) -> Iterator[str]:
    """The name of a small image with a shell, built without a registry."""
    if not BUSYBOX.exists():
        skip_or_fail(f"{BUSYBOX} not found (Debian: busybox-static)")
    with busybox_image(docker_engine, "sh") as name:
        yield name


@pytest.fixture(scope="session")
def buildx_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writable configuration folder of docker with the buildx plugin (`.ci/buildx build/docker`)."""
    folders = (ROOT / "build" / "docker", Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser())
    for folder in folders:
        if Clients("buildkit", folder).plugin():
            if os.access(folder, os.W_OK):
                return folder
            own = tmp_path_factory.mktemp("docker")
            (own / "cli-plugins").symlink_to(folder / "cli-plugins")
            return own
    skip_or_fail("docker's buildx plugin is missing; run `.ci/buildx build/docker`")
    raise AssertionError


@pytest.fixture(scope="session")
def buildkit_engine(docker_engine: DockerEngine, buildx_config: Path) -> Iterator[DockerEngine]:
    """The real engine, which builds with BuildKit."""
    if docker_engine.info().name == "podman":
        pytest.skip("Podman builds with its own builder, not with BuildKit")
    engine = DockerEngine(docker_engine.address.url, config=buildx_config, builder="buildkit")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def classic_engine(docker_engine: DockerEngine) -> Iterator[DockerEngine]:
    """The real engine, which builds with its classic builder."""
    engine = DockerEngine(docker_engine.address.url, builder="classic")
    yield engine
    engine.close()


# -- another user ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class OtherUser:
    """An unprivileged user of the machine who is a member of the docker group."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    python: Path
    path: str = ""
    home: Path = field(default=Path("/nonexistent"))

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run `python ARGUMENTS` as this user."""
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env=self.environment(env or {}),
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def localrun(
        self, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m localrun ARGUMENTS` as this user."""
        return self.run(["-m", "localrun", *arguments], cwd=cwd, env=env, timeout=timeout)

    def folder(self, name: str) -> Path:
        """Create a folder owned by this user. It is removed at the end of the session."""
        path = self.home / name
        path.mkdir()
        os.chown(path, self.uid, self.gid)
        return path

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a process of this user."""
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "USER": "other"}
        kept["LOCALRUN_LEDGER"] = str(self.home / "ledger" / "l.json")
        kept |= {name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}
        found = {"PYTHONPATH": self.path} if self.path else {}
        return kept | found | dict(more)


@pytest.fixture(scope="session")
def as_other_user(docker_host: str | None) -> Iterator[OtherUser]:
    """An unprivileged member of the group of the engine's socket. Requires root."""
    if os.geteuid() != 0:
        skip_or_fail("only root can run a program as another user")
    socket = Path(Address(docker_host or "").socket_path)
    group = socket.stat().st_gid if socket.exists() else _docker_group()
    if socket.exists() and not socket.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        pytest.skip(f"only the owner can use {socket}, as of Podman")
    home = Path(tempfile.mkdtemp(prefix="localrun-test-home-"))
    os.chown(home, 54321, 54321)
    try:
        yield _other_user(group, home)
    finally:
        shutil.rmtree(home)


def _docker_group() -> int:
    try:
        return grp.getgrnam("docker").gr_gid
    except KeyError:
        return 0


def _other_user(group: int, home: Path) -> OtherUser:
    """Use this interpreter if the user can, else the system's with links to the installed packages."""
    own = OtherUser(54321, 54321, (group,), Path(sys.executable), home=home)
    if _can_import(own):
        return own
    path = home / "site"
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    if system.exists():
        link_localrun(path)
        other = OtherUser(54321, 54321, (group,), system, path=f"{path}", home=home)
        if _can_import(other):
            return other
    skip_or_fail(f"another user can use neither {sys.executable} nor {system} ({platform.machine()})")
    raise AssertionError


def _can_import(user: OtherUser) -> bool:
    try:
        return user.run(["-c", "import localrun.app"], cwd=Path("/")).returncode == 0
    except PermissionError:
        return False


# -- leftovers -----------------------------------------------------------------------------------

_CHECK: pytest.StashKey[LeakCheck] = pytest.StashKey()  # not in the worker processes of a session
_THREADS: pytest.StashKey[set[str]] = pytest.StashKey()  # at the start of this process


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give each process of the session its own temporary folder and reservations."""
    worker = getattr(config, "workerinput", {}).get("workerid")
    if worker is None:
        config.stash[_CHECK] = LeakCheck()
    use_own_folder(worker or "main")
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # each server would look for them in all packages
    if worker or not config.getoption("numprocesses", None):  # workers themselves need these plugins
        os.environ.update(INNER_SESSIONS)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # both are ignored below nohup and in the background jobs of a script, and so in all processes of tests
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the examples, and start with the files that use an engine.

    They take longest, and the others fill the gaps.
    """
    for item in items:
        if item.nodeid.startswith(("tests/docs/", "tests/samples/")) and item.get_closest_marker("docker"):
            item.add_marker("examples")
    slow = {item.path for item in items if item.get_closest_marker("docker")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Exclude the many collected tests from garbage collection: each session of pytest collects it often."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute the tests over the processes, unless `--dist` chooses how."""
    from tests.support.scheduling import Scheduling

    return Scheduling(config, log) if config.getoption("dist") == "load" else None


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[_THREADS] = threads()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect the threads that a worker process has left."""
    output = getattr(node, "workeroutput", {})
    node.config.stash[_CHECK].threads.update(output.get("threads", ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session with leftovers."""
    config = session.config
    before = config.stash[_THREADS]
    left = threads() - before
    if hasattr(config, "workeroutput"):
        config.workeroutput["threads"] = sorted(left)
        return
    check = config.stash[_CHECK]
    if not config.pluginmanager.hasplugin("dsession"):  # its process runs no tests
        check.threads.update(left)
    check.finish(config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
    if check.found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List the leftovers."""
    check = config.stash.get(_CHECK, None)
    if check and check.found:
        terminalreporter.section("leftovers", red=True)
        for line in check.found:
            terminalreporter.line(line)
