"""Mounts of an engine that creates missing folders instead of refusing them.

Podman's Docker API does so, on its own machine: a task on a remote Podman would find its input folder empty.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path

from localrun.engines.base import ContainerSpec, Handle, Mount
from localrun.engines.dockerd import failures
from localrun.engines.dockerd.answers import seconds
from localrun.engines.dockerd.api import Api
from localrun.errors import MountUnavailable

_HEADER = "X-Docker-Container-Path-Stat"
_TRIES = 3  # a file may change between the two looks
_PRECISION = 1e-3  # seconds


def check_sources(spec: ContainerSpec) -> None:
    """Raise `MountUnavailable` for a path that does not exist, before the engine creates it."""
    hosts = () if spec.network or spec.hosts_file is None else (spec.hosts_file,)
    for path in (*(mount.source for mount in spec.mounts), *hosts):
        if not path.exists():
            raise _unavailable(path)


def check_mounted(api: Api, spec: ContainerSpec, handle: Handle) -> None:
    """Raise `MountUnavailable` if a created container has other files than this machine's.

    Files of one folder are either all mounted or none, so one of them is compared.
    """
    for mount in {mount.source.parent: mount for mount in spec.mounts}.values():
        if not any(_is_mounted(api, mount, handle) for _ in range(_TRIES)):
            raise _unavailable(mount.source)


def _is_mounted(api: Api, mount: Mount, handle: Handle) -> bool:
    """Return whether a path has the same kind, and the same time of its last change, on both sides."""
    before, there, after = _changed(mount.source), _changed_there(api, mount, handle), _changed(mount.source)
    return any(abs(here - there) < _PRECISION for here in (before, after))


def _changed(path: Path) -> float:
    return path.stat().st_mtime


def _changed_there(api: Api, mount: Mount, handle: Handle) -> float:
    response = api.send("HEAD", f"/containers/{handle}/archive", {"path": mount.target})
    response.close()
    found = response.header(_HEADER)
    if not found:
        return math.nan  # there is nothing
    with failures.reading(f"find {mount.target} in the container"):
        return seconds(json.loads(base64.b64decode(found))["mtime"]) or math.nan


def _unavailable(path: Path) -> MountUnavailable:
    return MountUnavailable(
        f"the engine cannot see a path of this machine: {path}",
        remedy="use an engine on this machine",
        path=str(path),
    )
