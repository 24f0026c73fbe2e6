"""Shared fixtures: a real engine, an image for it, another user; and a check for leftovers."""

from __future__ import annotations

import fcntl
import grp
import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.dockerd.builders.clients import Clients
from localrun.engines.labels import LABEL_TASK
from localrun.errors import EngineUnreachable
from tests.support.images import BUSYBOX, busybox_layer, image_archive

# On CI, use the same examples in every run, so a failure is caused by the change. Locally, explore new ones.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

ROOT = Path(__file__).parent.parent
OWN_IMAGE_PREFIXES = ("localrun/", "localrun-test/")  # names of images that localrun and its tests create


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
    name = f"localrun-test/busybox:{secrets.token_hex(4)}"
    docker_engine.load_image([image_archive(busybox_layer({}), name, Cmd=["sh"], Env=["PATH=/bin"])])
    yield name
    docker_engine.remove_image(name)


@pytest.fixture(scope="session")
def buildx_config() -> Path:
    """A configuration folder of docker with the buildx plugin (`.ci/buildx build/docker`)."""
    folders = (ROOT / "build" / "docker", Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser())
    for folder in folders:
        if Clients("buildkit", folder).plugin():
            return folder
    skip_or_fail("docker's buildx plugin is missing; run `.ci/buildx build/docker`")
    raise AssertionError


@pytest.fixture(scope="session")
def buildkit_engine(docker_engine: DockerEngine, buildx_config: Path) -> Iterator[DockerEngine]:
    """The real engine, which builds with BuildKit."""
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
        timeout: float = 60,
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
        self, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 60
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
        found = {"PYTHONPATH": self.path} if self.path else {}
        return kept | found | dict(more)


@pytest.fixture(scope="session")
def as_other_user() -> Iterator[OtherUser]:
    """An unprivileged member of the docker group. Requires root."""
    if os.geteuid() != 0:
        skip_or_fail("only root can run a program as another user")
    socket = Path("/var/run/docker.sock")
    group = socket.stat().st_gid if socket.exists() else _docker_group()
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
    """Use this interpreter if the user can, else the system's with a copy of the installed packages."""
    own = OtherUser(54321, 54321, (group,), Path(sys.executable), home=home)
    if _can_import(own):
        return own
    path = home / "site"
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    if system.exists():
        _copy_packages(path)
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


def _copy_packages(path: Path) -> None:
    # The packages may be in a folder that the other user cannot access.
    import msgspec

    site = Path(msgspec.__file__).parent.parent
    left_out = shutil.ignore_patterns("__pycache__", "mypy*", "ruff*", "pip*", "setuptools*", "hypothesis*")
    shutil.copytree(site, path, ignore=left_out, symlinks=True)
    shutil.rmtree(path / "localrun", ignore_errors=True)
    shutil.copytree(ROOT / "localrun", path / "localrun", ignore=left_out)


# -- leftovers -----------------------------------------------------------------------------------


@dataclass
class MachineState:
    """The containers, images, threads and temporary folders of localrun on this machine."""

    containers: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    threads: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def added_since(self, before: MachineState) -> list[str]:
        """Describe the additions since another state."""
        kinds = ("containers", "images", "threads", "folders")
        more = {kind: getattr(self, kind) - getattr(before, kind) for kind in kinds}
        return [f"{kind}: {', '.join(sorted(found))}" for kind, found in more.items() if found]


def machine_state() -> MachineState:
    """Return the current state. Without an engine there are no containers and images."""
    found = MachineState(
        threads={f"{thread.name} ({thread.ident})" for thread in threading.enumerate()},
        folders={str(path) for path in Path(tempfile.gettempdir()).glob("localrun-*")},
    )
    engine = None
    try:
        engine = DockerEngine(os.environ.get("DOCKER_HOST"))
        found.containers = {item.handle for item in engine.find({LABEL_TASK: ""})}
        found.images = set(_images(engine))
    except EngineUnreachable:
        pass
    finally:
        if engine:
            engine.close()
    return found


def _images(engine: DockerEngine) -> Iterator[str]:
    for image in engine.images({}):
        yield from (tag for tag in image.tags if tag.startswith(OWN_IMAGE_PREFIXES))
        if not image.tags or image.tags == ("<none>:<none>",):
            yield f"{image.id} (without a name)"


class LeakCheck:
    """Compares the machine's state at the end of the session with that at its start."""

    def __init__(self) -> None:
        # Sessions that share an engine see each other's containers, so each holds a shared lock.
        self.lock = (Path(tempfile.gettempdir()) / ".localrun-tests.lock").open("ab")
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        self.before = machine_state()
        self.found: list[str] = []
        self.is_exclusive = True

    def has_leaks(self) -> bool:
        """Return whether there are leftovers that can only come from this session."""
        self.found = machine_state().added_since(self.before)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.is_exclusive = False
        self.lock.close()
        return bool(self.found) and self.is_exclusive


_CHECK: pytest.StashKey[LeakCheck] = pytest.StashKey()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Record the state of the machine."""
    if not hasattr(session.config, "workerinput"):
        session.config.stash[_CHECK] = LeakCheck()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session with leftovers."""
    check = session.config.stash.get(_CHECK, None)
    if check and check.has_leaks() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List the leftovers."""
    check = config.stash.get(_CHECK, None)
    if check and check.found:
        note = "" if check.is_exclusive else " (or resources of another test session that is running)"
        terminalreporter.section(f"leftovers{note}", red=check.is_exclusive)
        for line in check.found:
            terminalreporter.line(line)
