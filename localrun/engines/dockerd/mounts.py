"""Mounts of an engine that creates missing folders instead of refusing them.

Podman's Docker API does so, on its own machine: a task on a remote Podman would find its input folder empty.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from localrun.engines.base import ContainerSpec, Handle, Mount
from localrun.engines.dockerd import failures
from localrun.engines.dockerd.answers import handle_of, seconds
from localrun.engines.dockerd.api import Api
from localrun.engines.dockerd.create_payload import NO_NETWORK, bind
from localrun.engines.labels import container_name, inspection_labels
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
    """Raise `MountUnavailable` if a created container has other files than this machine's."""
    folders = [mount for mount in spec.mounts if mount.source.is_dir()]
    _check(api, handle, folders)
    # Podman does not look at a mounted file. The files below the same first folder are shared, too.
    shared = {mount.source.parts[:2] for mount in folders}
    others = {mount.source.parts[:2]: mount for mount in spec.mounts if mount not in folders}
    unknown = [mount for first, mount in others.items() if first not in shared]
    if unknown:
        parents = [Mount(mount.source.parent, f"/{number}") for number, mount in enumerate(unknown)]
        with _container_with(api, spec.image, parents) as other:
            _check(api, other, [Mount(it.source, f"/{at}/{it.source.name}") for at, it in enumerate(unknown)])


@contextmanager
def _container_with(api: Api, image: str, mounts: Sequence[Mount]) -> Iterator[Handle]:
    """Create a container with these mounts that is never started, and remove it."""
    task_id = f"look-{os.urandom(6).hex()}"
    binds = [bind(mount.source, mount.target, True) for mount in mounts]
    body = {
        "Image": image,
        "Cmd": ["none"],
        "Labels": inspection_labels(task_id),
        "HostConfig": {"Mounts": binds, "NetworkMode": NO_NETWORK},
    }
    action = "look at the files of this machine in a container"
    made = api.post("/containers/create", body, {"name": container_name(task_id)}, action=action)
    with failures.reading(action):
        handle = handle_of(made)
    try:
        yield handle
    finally:
        api.bytes("DELETE", f"/containers/{handle}", {"force": 1}, action=action, allowed={404, 409})


def _check(api: Api, handle: Handle, mounts: Sequence[Mount]) -> None:
    for mount in mounts:
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
