"""The resources of a test session, and the detection of leftovers at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localrun.pytest_plugin.reaper_client import ReaperClient
    from localrun.settings import Settings

_WORKER = "localrun_used"  # key in the `workeroutput` of an xdist worker


@dataclass
class SessionResources:
    """The task folders and engines of a session. `homes`: whether each folder will be kept."""

    homes: dict[str, bool] = field(default_factory=dict)
    docker_hosts: list[str | None] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)  # pytest's temporary folders, which contain task folders
    leftovers: list[str] = field(default_factory=list)
    reaper: ReaperClient | None = None

    def add_engine(self, docker_host: str | None, root: str) -> None:
        """Register a real engine, used by tests with folders below `root`."""
        if docker_host not in self.docker_hosts:
            self.docker_hosts.append(docker_host)
        self.roots.append(root)

    def owns(self, home: str) -> bool:
        """Return whether a task folder belongs to a test of this session."""
        return home in self.homes or any(home.startswith(f"{root}/") for root in self.roots)

    def add_home(self, home: Path, settings: Settings | None) -> None:
        """Register a task folder, with the settings of its real engine (None: a fake one).

        If this process dies, the reaper process stops the tasks on the real engine.
        """
        self.homes[str(home)] = False
        if settings is not None:
            from localrun.pytest_plugin.reaper_client import ReaperClient

            self.reaper = self.reaper or ReaperClient()
            self.reaper.watch(home, settings.docker_host)

    def close_home(self, home: Path, *, keep: bool) -> None:
        """Mark a task folder as cleaned up, or as kept."""
        self.homes[str(home)] = keep
        if self.reaper is not None:
            self.reaper.forget(home)

    def as_dict(self) -> dict[str, Any]:
        return {"homes": self.homes, "docker_hosts": self.docker_hosts, "roots": self.roots}

    def merge(self, other: dict[str, Any]) -> None:
        self.homes.update(other["homes"])
        self.roots += other["roots"]
        self.docker_hosts += [host for host in other["docker_hosts"] if host not in self.docker_hosts]

    def find_leftovers(self) -> None:
        """Find containers of tasks in the folders, and folders that should have been removed."""
        self.leftovers = [*_containers(self), *_folders(self)]


RESOURCES: pytest.StashKey[SessionResources] = pytest.StashKey()


def send_to_controller(config: pytest.Config) -> bool:
    """Send the resources to the xdist controller. Return whether this process is an xdist worker."""
    output = getattr(config, "workeroutput", None)
    if output is None:
        return False
    output[_WORKER] = config.stash[RESOURCES].as_dict()
    return True


def merge_worker(config: pytest.Config, node: Any) -> None:
    """Add the resources of an xdist worker. A crashed worker has none."""
    output = getattr(node, "workeroutput", {}).get(_WORKER)
    if output:
        config.stash[RESOURCES].merge(output)


def _folders(resources: SessionResources) -> Iterator[str]:
    for home, keep in resources.homes.items():
        if not keep and Path(home).exists():
            yield f"folder {home}"


def _containers(resources: SessionResources) -> Iterator[str]:
    if not resources.docker_hosts:
        return
    from localrun import settings
    from localrun.engines.dockerd import DockerEngine
    from localrun.engines.labels import LABEL_HOME, LABEL_TASK
    from localrun.errors import EngineError

    for docker_host in resources.docker_hosts:
        engine = None
        try:
            engine = DockerEngine.of(settings.load(os.environ, docker_host=docker_host))
            for found in engine.find({LABEL_TASK: ""}):
                if resources.owns(found.labels.get(LABEL_HOME, "")):
                    yield f"container {found.handle[:12]} of task {found.labels[LABEL_TASK]}"
        except EngineError as error:
            yield f"unknown containers; the engine does not answer: {error.message}"
        finally:
            if engine is not None:
                engine.close()
