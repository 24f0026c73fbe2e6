"""Creation of containers. A container whose creation was not confirmed is removed."""

from __future__ import annotations

import time

from localrun.engines.base import ContainerSpec, Handle
from localrun.engines.dockerd import failures, limits, mounts
from localrun.engines.dockerd.answers import handle_of
from localrun.engines.dockerd.api import Api, read_message
from localrun.engines.dockerd.create_payload import (
    NO_NETWORK,
    create_body,
    helper_body,
    writable_folders_tar,
)
from localrun.errors import Cause, EngineError, EngineUnreachable, LocalrunError

_TRIES, _PAUSE = 5, 0.2  # the engine may still be creating the container: seconds between two looks
_TAR = {"Content-Type": "application/x-tar"}


def create(api: Api, spec: ContainerSpec) -> tuple[Handle, tuple[str, ...]]:
    """Create a container; return its handle, and those of `LIMITS` that the engine has discarded.

    Leaves no container behind if it raises.
    """
    is_podman = api.is_libpod()
    if is_podman:
        mounts.check_sources(spec)
    try:
        handle = _create(api, spec)
    except failures.NameTaken:
        # by an earlier attempt whose answer was lost; another container with this name stays
        if not _remove_by_name(api, spec):
            raise
        handle = _create(api, spec)
    try:
        discarded = _check(api, spec, handle)
        if is_podman:
            mounts.check_mounted(api, spec, handle)
        if spec.folders:
            _make_folders_writable(api, spec, handle)
    except BaseException:
        _remove(api, handle, volumes=True)
        raise
    return handle, discarded


def _create(api: Api, spec: ContainerSpec) -> Handle:
    action = f"create the container {spec.name}"
    body = create_body(spec, "json-file" if api.is_libpod() else "local")
    query = {"name": spec.name} | ({"platform": spec.platform} if spec.platform else {})
    try:
        made = api.post("/containers/create", body, query, action=action)
        with failures.reading(action):
            return handle_of(made)
    except failures.NameTaken:
        raise
    except EngineError as error:
        if error.cause in (Cause.ENGINE_LOST, Cause.ENGINE_FAILED) and "status" not in error.facts:
            _remove_unconfirmed(api, spec)
        raise


def _check(api: Api, spec: ContainerSpec, handle: Handle) -> tuple[str, ...]:
    """Return the limits that a container has not got.

    Raises `EngineError` if it has a network that it must not have, or nothing to run.
    """
    action = f"inspect the container {spec.name}"
    found = api.json("GET", f"/containers/{handle}/json", action=action)
    with failures.reading(action):
        discarded = limits.discarded(found["HostConfig"])
        mode = found["HostConfig"]["NetworkMode"]
        networks = set(found["NetworkSettings"].get("Networks") or ())
        config = found.get("Config") or {}
        has_program = config.get("Entrypoint") or config.get("Cmd") or not api.is_libpod()
    if not spec.network and (mode != NO_NETWORK or networks - {NO_NETWORK}):
        raise EngineError(
            f"the task must not have a network, but the engine gave it {', '.join(networks) or repr(mode)}",
            remedy="use another engine; or pass `--network` if the task may use the network",
            mode=str(mode),
        )
    if not has_program:  # Podman would start its init process alone
        raise failures.no_command()
    return discarded


def _remove_unconfirmed(api: Api, spec: ContainerSpec) -> None:
    """Remove a container that the engine may have created, or may be creating."""
    try:
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE)
            if _remove_by_name(api, spec):
                return
    except EngineUnreachable:  # it has a label: the next process removes it
        return


def _remove_by_name(api: Api, spec: ContainerSpec) -> bool:
    """Remove the container with the name and the labels of `spec`; return whether there was one."""
    action = f"inspect the container {spec.name}"
    try:
        found = api.json("GET", f"/containers/{spec.name}/json", action=action)
        with failures.reading(action):
            labels, handle = dict(found["Config"]["Labels"]), handle_of(found)
    except EngineUnreachable:
        raise
    except LocalrunError:  # no such container, or another invalid answer
        return False
    if any(labels.get(name) != value for name, value in spec.labels.items()):
        return False
    _remove(api, handle, volumes=True)
    return True


def _remove(api: Api, handle: Handle, *, volumes: bool) -> None:
    query = {"force": 1, **({"v": 1} if volumes else {})}
    api.bytes("DELETE", f"/containers/{handle}", query, action="remove the container", allowed={404, 409})


def _make_folders_writable(api: Api, spec: ContainerSpec, handle: Handle) -> None:
    """Make the container's folders writable by any user, because the image may set one."""
    if not spec.hardened:
        _unpack(api, handle, spec)
        return
    action = f"prepare the folders of {spec.name}"
    made = api.post("/containers/create", helper_body(spec, handle), action=action)
    with failures.reading(action):
        helper = handle_of(made)
    try:
        _unpack(api, helper, spec)
    finally:
        _remove(api, helper, volumes=False)  # they belong to the task's container


def _unpack(api: Api, handle: Handle, spec: ContainerSpec) -> None:
    tar = iter([writable_folders_tar(spec.folders)])
    path, action = f"/containers/{handle}/archive", "copy files to / in the container"
    read_message(api.open("PUT", path, {"path": "/"}, body=tar, headers=_TAR, action=action))
