"""What every test may use: a real engine, an image for it, another user; and a check that nothing is left."""

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
from localrun.engines.labels import LABEL_TASK
from localrun.errors import EngineUnreachable
from tests.support.images import BUSYBOX, busybox_layer, image_archive

# On CI the same examples every time: a run says what a change did. Locally new ones are looked for.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

ROOT = Path(__file__).parent.parent
OWN_IMAGE_PREFIXES = ("localrun/", "localrun-test/")  # the names of images that localrun and its tests make


def skip_or_fail(reason: str) -> None:
    """Skip locally, fail on CI, where what a test needs must be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI is set, so this is an error)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_host() -> str | None:
    """The address of the engine under test; override it to test another one."""
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
    """A test that is marked `docker` gets no further without an engine."""
    if request.node.get_closest_marker("docker"):
        request.getfixturevalue("docker_engine")


@pytest.fixture(scope="session")
def busybox(docker_engine: DockerEngine) -> Iterator[str]:
    """The name of a small image with a shell, made on the spot: no registry is needed."""
    if not BUSYBOX.exists():
        skip_or_fail(f"{BUSYBOX} is not there (Debian: busybox-static)")
    name = f"localrun-test/busybox:{secrets.token_hex(4)}"
    docker_engine.load_image([image_archive(busybox_layer({}), name, Cmd=["sh"], Env=["PATH=/bin"])])
    yield name
    docker_engine.remove_image(name)


# -- another user ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class OtherUser:
    """An ordinary user of the machine whose one privilege is the docker group."""

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
        """A new folder of this user, which it can work in; gone at the end of the session."""
        path = self.home / name
        path.mkdir()
        os.chown(path, self.uid, self.gid)
        return path

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The variables such a process gets."""
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "USER": "somebody"}
        found = {"PYTHONPATH": self.path} if self.path else {}
        return kept | found | dict(more)


@pytest.fixture(scope="session")
def as_other_user() -> Iterator[OtherUser]:
    """An ordinary member of the docker group; the tests must run as root to become it."""
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
    """Use our own interpreter if the user can, else the system's, with our packages copied for it."""
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
    # The packages may lie below a folder that the other user cannot enter.
    import msgspec

    site = Path(msgspec.__file__).parent.parent
    left_out = shutil.ignore_patterns("__pycache__", "mypy*", "ruff*", "pip*", "setuptools*", "hypothesis*")
    shutil.copytree(site, path, ignore=left_out, symlinks=True)
    shutil.rmtree(path / "localrun", ignore_errors=True)
    shutil.copytree(ROOT / "localrun", path / "localrun", ignore=left_out)


# -- nothing is left behind -----------------------------------------------------------------------


@dataclass
class MachineState:
    """What there is of ours: containers, images, threads, temporary folders."""

    containers: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    threads: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def added_since(self, before: MachineState) -> list[str]:
        """What was not there before, in words."""
        kinds = ("containers", "images", "threads", "folders")
        more = {kind: getattr(self, kind) - getattr(before, kind) for kind in kinds}
        return [f"{kind}: {', '.join(sorted(found))}" for kind, found in more.items() if found]


def machine_state() -> MachineState:
    """Look around. Without an engine there are no containers and no images."""
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
    """Compares what there is at the end of the session with what there was at its start."""

    def __init__(self) -> None:
        # Sessions that share an engine would see each other's containers: each holds the lock shared.
        self.lock = (Path(tempfile.gettempdir()) / ".localrun-tests.lock").open("ab")
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        self.before = machine_state()
        self.found: list[str] = []
        self.is_exclusive = True

    def has_leaks(self) -> bool:
        """Whether something was left behind, and it can only have been us."""
        self.found = machine_state().added_since(self.before)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.is_exclusive = False
        self.lock.close()
        return bool(self.found) and self.is_exclusive


_CHECK: pytest.StashKey[LeakCheck] = pytest.StashKey()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remember what was there."""
    if not hasattr(session.config, "workerinput"):
        session.config.stash[_CHECK] = LeakCheck()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that left something behind."""
    check = session.config.stash.get(_CHECK, None)
    if check and check.has_leaks() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left behind."""
    check = config.stash.get(_CHECK, None)
    if check and check.found:
        whose = "" if check.is_exclusive else " (or belongs to another test session that runs just now)"
        terminalreporter.section(f"left behind{whose}", red=check.is_exclusive)
        for line in check.found:
            terminalreporter.line(line)
