"""All checks, by section."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

from localrun.engines.base import Engine, EngineInfo
from localrun.errors import LocalrunError
from localrun.maintenance.doctor.check import Check, fail
from localrun.maintenance.doctor.distribution import check_distributions
from localrun.maintenance.doctor.engine import check_builder, check_engine
from localrun.maintenance.doctor.folders import check_folders, has_active_tasks
from localrun.maintenance.doctor.host import check_host, check_software
from localrun.maintenance.doctor.leftovers import check_engine_leftovers, check_home_leftovers
from localrun.settings import Settings
from localrun.task.store import TaskStore

SECTIONS = ("software", "engine", "machine", "folders", "leftovers")
_ENGINE_TIMEOUT = 5.0  # seconds for the first answer of the engine


def check_all(
    version: str, settings: Settings, ledger: Path, engine: Callable[[], Engine]
) -> Iterator[tuple[str, Check]]:
    """Yield all checks with their sections. `engine` connects to the engine and may raise."""
    home = TaskStore(settings.home)
    yield from _in("software", check_software(version))
    yield from _in("software", check_distributions())
    found = _connect(engine)
    if isinstance(found, Check):
        yield "engine", found
    else:
        yield from _in("engine", check_engine(found[1]))
        yield "engine", check_builder(found[0])
    root = [] if isinstance(found, Check) else [Path(found[1].root)]
    folders = [settings.home.parent, *(folder for folder in root if folder.is_dir())]
    yield from _in("machine", check_host(settings, folders))
    yield from _in("folders", check_folders(settings, ledger))
    yield from _in("leftovers", check_home_leftovers(home, settings.cache, ledger))
    if not isinstance(found, Check):
        try:
            checks = check_engine_leftovers(home, found[0], ledger, busy=has_active_tasks(ledger))
            yield from _in("leftovers", checks)
        except LocalrunError as error:
            yield "leftovers", fail("containers", error.message, error.remedy)


def _in(section: str, checks: Iterator[Check]) -> Iterator[tuple[str, Check]]:
    return ((section, check) for check in checks)


def _connect(engine: Callable[[], Engine]) -> tuple[Engine, EngineInfo] | Check:
    """Return the engine and its description, or a failed check if it does not answer in time."""
    answers: SimpleQueue[tuple[Engine, EngineInfo] | Check] = SimpleQueue()

    def ask() -> None:
        try:
            connected = engine()
            answers.put((connected, connected.info()))
        except LocalrunError as error:
            answers.put(fail("engine", error.message, error.remedy, **error.facts))

    # a daemon thread: an address that never answers must not keep the process from exiting
    threading.Thread(target=ask, name="doctor", daemon=True).start()
    try:
        return answers.get(timeout=_ENGINE_TIMEOUT)
    except Empty:
        message = f"no answer within {_ENGINE_TIMEOUT:g} s"
        return fail("engine", message, "check the address in DOCKER_HOST, or restart the engine")
