"""All of it, in the order of a page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

from localrun.engines.base import Engine, EngineInfo
from localrun.errors import LocalrunError
from localrun.maintenance.doctor import distribution, folders, host, leftovers
from localrun.maintenance.doctor import engine as engines
from localrun.maintenance.doctor.check import Check, fail
from localrun.settings import Settings
from localrun.task.store import TaskStore

SECTIONS = ("software", "engine", "machine", "folders", "left behind")
_PATIENCE = 5.0  # seconds that the engine may take for its first answer


def check_all(
    version: str, settings: Settings, ledger: Path, engine: Callable[[], Engine]
) -> Iterator[tuple[str, Check]]:
    """Every check with its section. `engine` connects to the engine, and may raise."""
    home = TaskStore(settings.home)
    yield from _in("software", host.check_software(version))
    yield from _in("software", distribution.check_distributions())
    found = _asked(engine)
    if isinstance(found, Check):
        yield "engine", found
    else:
        yield from _in("engine", engines.check_engine(found[1]))
    root = [] if isinstance(found, Check) else [Path(found[1].root)]
    places = [settings.home.parent, *(folder for folder in root if folder.is_dir())]
    yield from _in("machine", host.check_host(settings, places))
    yield from _in("folders", folders.check_folders(settings, ledger))
    yield from _in("left behind", leftovers.check_home(home, settings.cache, ledger))
    if not isinstance(found, Check):
        busy = folders.has_active_tasks(ledger)
        checks = leftovers.check_engine(home, found[0], busy=busy)
        yield from _in("left behind", _told("containers", checks))


def _in(section: str, checks: Iterator[Check]) -> Iterator[tuple[str, Check]]:
    for check in checks:
        yield section, check


def _told(name: str, checks: Iterator[Check]) -> Iterator[Check]:
    """The checks, and what the engine refused in their course."""
    try:
        yield from checks
    except LocalrunError as error:
        yield fail(name, error.message, error.remedy)


def _asked(engine: Callable[[], Engine]) -> tuple[Engine, EngineInfo] | Check:
    """The engine and what it is; or why not, also when it does not answer at all."""
    answers: SimpleQueue[tuple[Engine, EngineInfo] | Check] = SimpleQueue()

    def ask() -> None:
        try:
            made = engine()
            answers.put((made, made.info()))
        except LocalrunError as error:
            answers.put(fail("engine", error.message, error.remedy))

    # a daemon: an address that swallows everything keeps nobody from the end
    threading.Thread(target=ask, name="checkup", daemon=True).start()
    try:
        return answers.get(timeout=_PATIENCE)
    except Empty:
        message = f"it has not answered within {_PATIENCE:g} s"
        return fail(
            "engine", message, "see whether DOCKER_HOST names the right address, and restart the engine"
        )
