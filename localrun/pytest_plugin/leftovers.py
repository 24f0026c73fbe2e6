"""What a session has used, and what is left of it at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localrun.pytest_plugin.reaper_client import ReaperClient
    from localrun.settings import Settings

_WORKER = "localrun_used"  # in what a worker of xdist gives to the session's own process


@dataclass
class SessionResources:
    """The folders of tasks that tests had, with whether they are meant to stay, and their engines."""

    homes: dict[str, bool] = field(default_factory=dict)
    docker_hosts: list[str | None] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)  # pytest's own folders: what runs below them is a test's
    leftovers: list[str] = field(default_factory=list)
    reaper: ReaperClient | None = None

    def add_engine(self, docker_host: str | None, root: str) -> None:
        """A real engine is used, by tests with folders below `root`."""
        if docker_host not in self.docker_hosts:
            self.docker_hosts.append(docker_host)
        self.roots.append(root)

    def owns(self, home: str) -> bool:
        """Whether a folder of tasks is that of a test."""
        return home in self.homes or any(home.startswith(f"{root}/") for root in self.roots)

    def add_home(self, home: Path, settings: Settings | None) -> None:
        """A folder is worked in, with these settings of a real engine; None: with a fake one.

        Should this process die, another one stops the tasks of the real engine.
        """
        self.homes[str(home)] = False
        if settings is not None:
            from localrun.pytest_plugin.reaper_client import ReaperClient

            self.reaper = self.reaper or ReaperClient()
            self.reaper.watch(home, settings.docker_host)

    def close_home(self, home: Path, *, stays: bool) -> None:
        """The folder has been cleared up, or is meant to stay."""
        self.homes[str(home)] = stays
        if self.reaper is not None:
            self.reaper.forget(home)

    def as_dict(self) -> dict[str, Any]:
        """What another process has to know of it."""
        return {"homes": self.homes, "docker_hosts": self.docker_hosts, "roots": self.roots}

    def merge(self, told: dict[str, Any]) -> None:
        """Take over what another process has used."""
        self.homes.update(told["homes"])
        self.roots += told["roots"]
        self.docker_hosts += [host for host in told["docker_hosts"] if host not in self.docker_hosts]

    def find_leftovers(self) -> None:
        """See what is left: containers of tasks of the folders, and folders that should be gone."""
        self.leftovers = [*_containers(self), *_folders(self)]


RESOURCES: pytest.StashKey[SessionResources] = pytest.StashKey()


def send_to_controller(config: pytest.Config) -> bool:
    """Give what was used here to the session's own process; whether this is a worker of xdist."""
    output = getattr(config, "workeroutput", None)
    if output is None:
        return False
    output[_WORKER] = config.stash[RESOURCES].as_dict()
    return True


def merge_worker(config: pytest.Config, node: Any) -> None:
    """Take what a worker of xdist has used; one that crashed tells nothing."""
    told = getattr(node, "workeroutput", {}).get(_WORKER)
    if told:
        config.stash[RESOURCES].merge(told)


def _folders(used: SessionResources) -> Iterator[str]:
    for home, stays in used.homes.items():
        if not stays and Path(home).exists():
            yield f"folder {home}"


def _containers(used: SessionResources) -> Iterator[str]:
    if not used.docker_hosts:
        return
    from localrun.engines.dockerd import DockerEngine
    from localrun.engines.labels import LABEL_HOME, LABEL_TASK
    from localrun.errors import EngineError

    for docker_host in used.docker_hosts:
        engine = None
        try:
            engine = DockerEngine(docker_host)
            for found in engine.find({LABEL_TASK: ""}):
                if used.owns(found.labels.get(LABEL_HOME, "")):
                    yield f"container {found.handle[:12]} of the task {found.labels[LABEL_TASK]}"
        except EngineError as error:
            yield f"perhaps containers, as the engine does not answer: {error.message}"
        finally:
            if engine is not None:
                engine.close()
