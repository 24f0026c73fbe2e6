"""What the engine is told to create: a `ContainerSpec` in the words of its API."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from localrun.engines.base import ContainerSpec, Handle

LOGS = {"Type": "json-file", "Config": {"max-size": "64m", "max-file": "2"}}
SCRATCH = {"/tmp": "rw,exec,nosuid,nodev,size=256m,mode=1777"}  # noqa: S108 - inside the container


def create_body(spec: ContainerSpec) -> dict[str, Any]:
    """The JSON body of `POST /containers/create`."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels),
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "NetworkDisabled": _is_cut_off(spec),
        "HostConfig": _host(spec),
    }
    if spec.hostname:
        body["Hostname"] = spec.hostname
    if spec.entrypoint is not None:
        body["Entrypoint"] = list(spec.entrypoint)
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    return body


def _is_cut_off(spec: ContainerSpec) -> bool:
    """Whether the daemon makes no network at all, which starts in half the time of network `none`.

    It then writes no /etc/hosts either, so `localhost` has a meaning only with a file of ours.
    """
    return not spec.network and spec.hosts_file is not None


def _host(spec: ContainerSpec) -> dict[str, Any]:
    host: dict[str, Any] = {
        "Mounts": _mounts(spec),
        "Init": True,
        "Memory": spec.memory,
        "MemorySwap": spec.memory,  # the sum of both: no swap beside the memory
        "NanoCpus": int(spec.cpus * 1_000_000_000),
        "PidsLimit": spec.pids,
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": LOGS,
    }
    if not spec.network and not _is_cut_off(spec):
        host["NetworkMode"] = "none"
    if spec.hardened:
        host |= {"CapDrop": ["ALL"], "ReadonlyRootfs": True, "Tmpfs": SCRATCH}
    if spec.gpus:
        host["DeviceRequests"] = [{"Count": spec.gpus, "Capabilities": [["gpu"]]}]
    return host


def _mounts(spec: ContainerSpec) -> list[dict[str, Any]]:
    binds = [_bind(mount.source, mount.target, mount.read_only) for mount in spec.mounts]
    if _is_cut_off(spec) and spec.hosts_file is not None:
        binds.append(_bind(spec.hosts_file, "/etc/hosts", True))
    # A volume starts as a copy of what the image has there, unless told not to.
    volumes = [{"Type": "volume", "Target": at, "VolumeOptions": {"NoCopy": True}} for at in spec.folders]
    return binds + volumes


def _bind(source: Path, target: str, read_only: bool) -> dict[str, Any]:
    # A mount of this kind fails when the source is not there; the older kind would make a folder.
    return {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": read_only}


def writable_folders_tar(folders: Iterable[str]) -> bytes:
    """A tar for / that makes each of these folders writable by any user."""
    import tarfile

    packed = b""
    for folder in folders:
        info = tarfile.TarInfo(folder.strip("/"))
        info.type, info.mode = tarfile.DIRTYPE, 0o777
        packed += info.tobuf()
    return packed + bytes(2 * tarfile.BLOCKSIZE)


def helper_body(spec: ContainerSpec, handle: Handle) -> dict[str, Any]:
    """A container that is never started: it lends its root to reach the volumes of another one.

    The engine unpacks nothing at / of a container whose root is read-only.
    """
    host = {"VolumesFrom": [handle], "NetworkMode": "none"}
    return {"Image": spec.image, "Cmd": ["none"], "Labels": dict(spec.labels), "HostConfig": host}
