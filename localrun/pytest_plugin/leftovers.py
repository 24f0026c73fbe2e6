"""What a session has used, and what is left of it at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localrun.pytest_plugin.reaper_client import Guard
    from localrun.settings import Settings

_WORKER = "localrun_used"  # in what a worker of xdist gives to the session's own process


@dataclass
class Used:
    """The folders of tasks that tests had, with whether they are meant to stay, and their engines."""

    homes: dict[str, bool] = field(default_factory=dict)
    docker_hosts: list[str | None] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)  # pytest's own folders: what runs below them is a test's
    left: list[str] = field(default_factory=list)
    guard: Guard | None = None

    def use(self, docker_host: str | None, root: str) -> None:
        """A real engine is used, by tests with folders below `root`."""
        if docker_host not in self.docker_hosts:
            self.docker_hosts.append(docker_host)
        self.roots.append(root)

    def has(self, home: str) -> bool:
        """Whether a folder of tasks is that of a test."""
        return home in self.homes or any(home.startswith(f"{root}/") for root in self.roots)

    def begin(self, home: Path, settings: Settings | None) -> None:
        """A folder is worked in, with these settings of a real engine; None: with a fake one.

        Should this process die, another one stops the tasks of the real engine.
        """
        self.homes[str(home)] = False
        if settings is not None:
            from localrun.pytest_plugin.reaper_client import Guard

            self.guard = self.guard or Guard()
            self.guard.watch(home, settings.docker_host)

    def end(self, home: Path, *, stays: bool) -> None:
        """The folder has been cleared up, or is meant to stay."""
        self.homes[str(home)] = stays
        if self.guard is not None:
            self.guard.forget(home)

    def told(self) -> dict[str, Any]:
        """What another process has to know of it."""
        return {"homes": self.homes, "docker_hosts": self.docker_hosts, "roots": self.roots}

    def join(self, told: dict[str, Any]) -> None:
        """Take over what another process has used."""
        self.homes.update(told["homes"])
        self.roots += told["roots"]
        self.docker_hosts += [host for host in told["docker_hosts"] if host not in self.docker_hosts]

    def look(self) -> None:
        """See what is left: containers of tasks of the folders, and folders that should be gone."""
        self.left = [*_containers(self), *_folders(self)]


USED: pytest.StashKey[Used] = pytest.StashKey()


def hand_over(config: pytest.Config) -> bool:
    """Give what was used here to the session's own process; whether this is a worker of xdist."""
    output = getattr(config, "workeroutput", None)
    if output is None:
        return False
    output[_WORKER] = config.stash[USED].told()
    return True


def take_over(config: pytest.Config, node: Any) -> None:
    """Take what a worker of xdist has used; one that crashed tells nothing."""
    told = getattr(node, "workeroutput", {}).get(_WORKER)
    if told:
        config.stash[USED].join(told)


def _folders(used: Used) -> Iterator[str]:
    for home, stays in used.homes.items():
        if not stays and Path(home).exists():
            yield f"folder {home}"


def _containers(used: Used) -> Iterator[str]:
    if not used.docker_hosts:
        return
    from localrun.engines.dockerd import DockerEngine
    from localrun.errors import EngineError
    from localrun.runner.container_spec import LABEL_HOME, LABEL_TASK

    for docker_host in used.docker_hosts:
        engine = None
        try:
            engine = DockerEngine(docker_host)
            for found in engine.find({LABEL_TASK: ""}):
                if used.has(found.labels.get(LABEL_HOME, "")):
                    yield f"container {found.handle[:12]} of the task {found.labels[LABEL_TASK]}"
        except EngineError as error:
            yield f"perhaps containers, as the engine does not answer: {error.message}"
        finally:
            if engine is not None:
                engine.close()
