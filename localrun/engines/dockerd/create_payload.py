"""The JSON body that creates a container from a `ContainerSpec`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from localrun.engines.base import ContainerSpec, Handle

# The engine's copy of the output completes a log if localrun was stopped or killed. It holds more than the
# log keeps, even if all lines are short. It is limited because no limit of the task covers it. The driver
# `local` writes faster than `json-file`, and in less space; Podman has no such driver, and keeps one file.
_LOGS = {
    "local": {"max-size": "128m", "max-file": "4", "compress": "false"},  # compression slows the program down
    "json-file": {"max-size": "512m"},
}
NO_NETWORK = "none"  # the engine's mode without a network device
SCRATCH = {"/tmp": "rw,exec,nosuid,nodev,size=256m,mode=1777"}  # noqa: S108 - inside the container


def create_body(spec: ContainerSpec, log_driver: str = "local") -> dict[str, Any]:
    body: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels),
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "NetworkDisabled": _disables_network(spec),
        "HostConfig": {**_host_config(spec), "LogConfig": {"Type": log_driver, "Config": _LOGS[log_driver]}},
    }
    if spec.interactive:
        body |= {"OpenStdin": True, "StdinOnce": True, "Tty": spec.interactive == "terminal"}
    if spec.hostname:
        body["Hostname"] = spec.hostname
    if spec.entrypoint is not None:
        body["Entrypoint"] = list(spec.entrypoint)
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    return body


def _disables_network(spec: ContainerSpec) -> bool:
    """Return whether to disable networking, which before Docker 28 halves the start time of network `none`.

    The engine then does not write /etc/hosts, so `localhost` only resolves if a hosts file is mounted. Podman
    ignores it, so it never replaces network `none`.
    """
    return not spec.network and spec.hosts_file is not None


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    host: dict[str, Any] = {
        "Mounts": _mounts(spec),
        "Init": True,
        "Memory": spec.memory,
        "MemorySwap": spec.memory,  # the sum of memory and swap: no swap
        "NanoCpus": int(spec.cpus * 1_000_000_000),
        "PidsLimit": spec.pids,
        "SecurityOpt": ["no-new-privileges"],
    }
    if not spec.network:
        host["NetworkMode"] = NO_NETWORK
    if spec.hardened:
        host |= {"CapDrop": ["ALL"], "ReadonlyRootfs": True, "Tmpfs": SCRATCH}
    if spec.gpus:
        host["DeviceRequests"] = [{"Count": spec.gpus, "Capabilities": [["gpu"]]}]
    return host


def _mounts(spec: ContainerSpec) -> list[dict[str, Any]]:
    binds = [bind(mount.source, mount.target, mount.read_only) for mount in spec.mounts]
    if _disables_network(spec) and spec.hosts_file is not None:
        binds.append(bind(spec.hosts_file, "/etc/hosts", True))
    # without NoCopy, a volume starts with the image's files at that path
    volumes = [{"Type": "volume", "Target": at, "VolumeOptions": {"NoCopy": True}} for at in spec.folders]
    return binds + volumes


def bind(source: Path, target: str, read_only: bool) -> dict[str, Any]:
    """Return a mount of a path of the engine's machine."""
    # unlike the older `Binds`, this fails if the source does not exist instead of creating a folder
    return {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": read_only}


def writable_folders_tar(folders: Iterable[str]) -> bytes:
    """Return a tar for / that makes these folders writable by any user."""
    import tarfile

    packed = b""
    for folder in folders:
        info = tarfile.TarInfo(folder.strip("/"))
        info.type, info.mode = tarfile.DIRTYPE, 0o777
        packed += info.tobuf()
    return packed + bytes(2 * tarfile.BLOCKSIZE)


def helper_body(spec: ContainerSpec, handle: Handle) -> dict[str, Any]:
    """Return the JSON body of a helper container that shares another container's volumes.

    It is never started. Its root is writable: the engine cannot unpack an archive at / of a container with a
    read-only root.
    """
    host = {"VolumesFrom": [handle], "NetworkMode": NO_NETWORK}
    return {"Image": spec.image, "Cmd": ["none"], "Labels": dict(spec.labels), "HostConfig": host}
