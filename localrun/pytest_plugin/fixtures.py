"""The fixtures. Their imports are deferred until a test uses them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localrun.pytest_plugin import bundle_choice
from localrun.pytest_plugin.leftovers import RESOURCES
from localrun.pytest_plugin.options import SESSION_OPTIONS, Keep
from localrun.pytest_plugin.reporting import APP, FAILED, UPDATED
from localrun.pytest_plugin.waits import WAITS

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.engines.base import Engine
    from localrun.manager.manager import TaskManager
    from localrun.pytest_plugin import Bench, Case, LiveServer, ProjectBundle, ScriptedEngine
    from localrun.pytest_plugin.bundle import PreparedBundles
    from localrun.settings import Settings

_FAKE = "fake"
_BUNDLES: pytest.StashKey[PreparedBundles] = pytest.StashKey()

# -- configuration: override these -----------------------------------------------------------------


@pytest.fixture(scope=bundle_choice.scope)
def localrun_bundle_path(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Path:
    """Path of the project's own bundle: a folder, a zip, or a descriptor."""
    return bundle_choice.session_bundle(pytestconfig) or bundle_choice.bundle_of_test(
        request.path, pytestconfig
    )


@pytest.fixture(scope="session")
def localrun_build_args(pytestconfig: pytest.Config) -> Mapping[str, str]:
    """Build arguments for the Dockerfile of the bundle."""
    return pytestconfig.stash[SESSION_OPTIONS].build_args


@pytest.fixture(scope=bundle_choice.scope)
def localrun_build(pytestconfig: pytest.Config, localrun_build_args: Mapping[str, str]) -> Mapping[str, Any]:
    """Options of `submit` for the build of the bundle, such as `dockerfile` and `context`."""
    return {**pytestconfig.stash[SESSION_OPTIONS].build, "build_args": localrun_build_args}


@pytest.fixture(scope="session")
def localrun_limits(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """Limits of every task: `cpus`, `memory`, `gpus`, `network`. Default: from the descriptor."""
    return pytestconfig.stash[SESSION_OPTIONS].limits


@pytest.fixture(scope="session")
def localrun_timeout(pytestconfig: pytest.Config) -> float | None:
    """Time limit of every task in seconds; None: no limit."""
    return pytestconfig.stash[SESSION_OPTIONS].timeout


@pytest.fixture(scope="session")
def localrun_keep(pytestconfig: pytest.Config) -> Keep:
    """When to keep the folder of a test's tasks: never, failed, always."""
    return pytestconfig.stash[SESSION_OPTIONS].keep


@pytest.fixture(scope="session")
def localrun_required(pytestconfig: pytest.Config) -> bool:
    """Whether a test that needs an engine fails without one. If not, it is skipped."""
    return pytestconfig.stash[SESSION_OPTIONS].required


@pytest.fixture(scope="session")
def localrun_settings() -> Mapping[str, Any]:
    """Settings by the lower-case names of the `LOCALRUN_` variables: `{"grace": 1}`."""
    return {}


@pytest.fixture(scope="session")
def localrun_server_options(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """Server options: `bundles` (folders that contain the allowed bundles), `token`, and others."""
    return {"bundles": (pytestconfig.rootpath,)}


@pytest.fixture
def localrun_folder(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Path:
    """The folder of this test's tasks, unique to the test and process."""
    base = pytestconfig.stash[SESSION_OPTIONS].folder
    if base is None:
        tmp_path: Path = request.getfixturevalue("tmp_path")
        return tmp_path / "localrun"
    base.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", request.node.name)[:40]
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base)) / "localrun"


# -- engines ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def localrun_docker(
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
    localrun_required: bool,
    localrun_settings: Mapping[str, Any],
) -> Iterator[Engine]:
    """A real engine. Without one, tests that need it are skipped, or fail if it is required."""
    from localrun.engines.dockerd import DockerEngine
    from localrun.errors import EngineError

    if pytestconfig.stash[SESSION_OPTIONS].engine == _FAKE:
        pytest.skip("needs a container engine, and --localrun-engine is fake")
    settings = _settings(pytestconfig, localrun_settings)
    try:
        engine = DockerEngine.of(settings)
        engine.info()
    except EngineError as error:
        _skip_or_fail(error.message, required=localrun_required)
    pytestconfig.stash[RESOURCES].add_engine(settings.docker_host, str(tmp_path_factory.getbasetemp()))
    yield engine
    engine.close()


def _skip_or_fail(reason: str, *, required: bool) -> None:
    if required:
        pytest.fail(f"{reason} (an error where CI is set, or with --localrun-required=yes)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def fake_engine() -> Iterator[ScriptedEngine]:
    """An engine without containers that simulates planned runs. All fixtures of the test use it."""
    from localrun.engines.fake import FakeEngine
    from localrun.pytest_plugin.fake import ScriptedEngine

    engine = ScriptedEngine()
    yield engine
    FakeEngine.close(engine)


@pytest.fixture
def localrun_engine(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Engine:
    """The engine of this test: the fake one if the test or the session requests it, else a real one."""
    fake = "fake_engine" in request.fixturenames or pytestconfig.stash[SESSION_OPTIONS].engine == _FAKE
    engine: Engine = request.getfixturevalue("fake_engine" if fake else "localrun_docker")
    return engine


# -- for use in tests ------------------------------------------------------------------------------


@pytest.fixture(scope=bundle_choice.scope)
def localrun_bundle(
    request: pytest.FixtureRequest,
    localrun_docker: Engine,  # noqa: ARG001 - without an engine, the test is skipped first
    localrun_bundle_path: Path,
) -> ProjectBundle:
    """The project's own bundle. Its image is built or loaded once, also with multiple xdist workers."""
    return _prepared(request, localrun_bundle_path)


def _prepared(request: pytest.FixtureRequest, path: Path) -> ProjectBundle:
    from localrun.pytest_plugin.bundle import PreparedBundles

    engine, build = request.getfixturevalue("localrun_docker"), request.getfixturevalue("localrun_build")
    settings = _settings(request.config, request.getfixturevalue("localrun_settings"))
    bundles = request.config.stash.setdefault(_BUNDLES, PreparedBundles())
    return bundles.get(path, engine, settings, build, request.config.stash[WAITS].add_lock)


@pytest.fixture
def localrun_app(
    request: pytest.FixtureRequest,
    localrun_engine: Engine,
    localrun_folder: Path,
    localrun_settings: Mapping[str, Any],
    localrun_keep: Keep,
) -> Iterator[App]:
    """The `App` that `localrun`, `task_manager` and `localrun_server` of this test share."""
    from localrun.api import using
    from localrun.app import App
    from localrun.engines.fake import FakeEngine

    fake = isinstance(localrun_engine, FakeEngine)
    more = _isolated_settings(localrun_folder) if fake else {}
    given = _settings(request.config, {**more, **localrun_settings}, home=localrun_folder)
    app = App(given, localrun_engine)
    used = request.config.stash[RESOURCES]
    used.add_home(given.home, None if fake else given)
    request.node.stash[APP] = app
    try:
        with using(app):
            yield app
    finally:
        app.manager.shutdown()
        failed = request.node.stash.get(FAILED, False)
        keep = localrun_keep == "always" or (localrun_keep == "failed" and failed)
        if not keep:
            _remove(given.home, request.config.stash[SESSION_OPTIONS].folder)
        used.close_home(given.home, keep=keep)


def _isolated_settings(folder: Path) -> dict[str, Any]:
    """Return settings for tasks without containers, which ignore the machine's reservations and disks."""
    places = {"ledger": folder / "ledger" / "ledger.json", "cache": folder / "cache"}
    return {**places, "disk_reserve": 0, "disk_limit": 100.0, "disk_stop": 100.0}


def _remove(home: Path, base: Path | None) -> None:
    shutil.rmtree(home, ignore_errors=True)  # leftovers are reported at the end of the session
    if base is not None:
        with suppress(OSError):
            home.parent.rmdir()


def _settings(config: pytest.Config, given: Mapping[str, Any], home: Path | None = None) -> Settings:
    from localrun import settings

    engine = config.stash[SESSION_OPTIONS].engine
    address = {} if engine in ("docker", _FAKE) else {"docker_host": engine}
    logs = {} if home is None else {"logs": home / "logs"}
    return settings.load(os.environ, **{"home": home, **logs, **address, **given})


@pytest.fixture
def task_manager(localrun_app: App) -> TaskManager:
    """A task manager with its own folder. Tasks that still run at the end of the test are stopped."""
    return localrun_app.manager


@pytest.fixture
def localrun(
    request: pytest.FixtureRequest,
    localrun_app: App,
    localrun_limits: Mapping[str, Any],
    localrun_timeout: float | None,
    localrun_build: Mapping[str, Any],
) -> Bench:
    """Runs bundles: `localrun(a=3, b=4)` returns the outputs of the project's own bundle."""
    from localrun.engines.fake import FakeEngine
    from localrun.pytest_plugin.task_runner import Bench, marker_options

    fake = isinstance(localrun_app.engine, FakeEngine)  # needs no image

    def find_bundle() -> Path:
        path = Path(request.getfixturevalue("localrun_bundle_path"))
        return path if fake else _prepared(request, path).path

    # build the image now, not within the time limit of the test; a missing bundle is reported on use
    with suppress(pytest.fail.Exception):
        find_bundle()
    options = {"timeout": localrun_timeout, **localrun_limits}
    return Bench(localrun_app, find_bundle, {**options, **marker_options(request.node)}, localrun_build)


@pytest.fixture
def localrun_case(request: pytest.FixtureRequest, pytestconfig: pytest.Config, localrun: Bench) -> Case:
    """One case of the cases folder. The test runs once for each."""
    from localrun.pytest_plugin.case import Case

    properties = request.node.user_properties

    def on_update(text: str) -> None:
        properties.append((UPDATED, text))

    update = pytestconfig.stash[SESSION_OPTIONS].update
    return Case(Path(request.param), pytestconfig.rootpath, localrun, on_update if update else None)


@pytest.fixture
def localrun_server(localrun_app: App, localrun_server_options: Mapping[str, Any]) -> Iterator[LiveServer]:
    """A live server on a free port, with the folder of this test."""
    from localrun.pytest_plugin.live_server import run_server
    from localrun.server.config import ServerOptions

    with run_server(localrun_app, ServerOptions(**localrun_server_options)) as server:
        yield server
