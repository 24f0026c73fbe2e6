"""Parts of the engine's answers. A malformed one raises any exception; see `failures.reading`."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localrun.engines.architectures import platform_of
from localrun.engines.base import ContainerSummary, EngineInfo, Exit, Handle
from localrun.engines.dockerd import limits
from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.kernel_log import MemoryKills

_GPU = re.compile(r".*gpu=\d+")


def handle_of(found: Mapping[str, Any]) -> Handle:
    """Return the id of a container, which becomes a part of paths."""
    handle = found["Id"]
    if not (isinstance(handle, str) and handle.isalnum() and handle.isascii()):
        raise ValueError(f"{handle!r} is not the id of a container")
    return handle


def is_new(state: Mapping[str, Any]) -> bool:
    """Return whether a container has never been started; a failed start leaves an error."""
    return state["Status"] == "created" and not state["Error"]


def exit_of(state: Mapping[str, Any], handle: Handle, kills: MemoryKills) -> Exit:
    started, finished = seconds(state["StartedAt"]), seconds(state["FinishedAt"])
    if started is not None and finished is not None:
        # The engine may record the start of a quick program after its end.
        started = min(started, finished)
    return Exit(
        code=int(state["ExitCode"]),
        oom_killed=bool(state["OOMKilled"]) or kills.include(handle),
        error=str(state["Error"] or ""),
        started=started,
        finished=finished,
    )


def seconds(stamp: str) -> float | None:
    """Convert an RFC 3339 time to seconds since 1970; None for year 1, the engine's "never"."""
    return None if stamp.startswith("0001-") or not stamp else datetime.fromisoformat(stamp).timestamp()


def engine_info(
    found: Mapping[str, Any],
    address: Address,
    api: str,
    *,
    has_gaps: bool,
    is_podman: bool = False,
    controllers: list[str] | None = None,
) -> EngineInfo:
    """Return the properties of an engine; `controllers` are its control groups, if known."""
    # e.g. nvidia.com/gpu=0, and the same GPU again by its UUID, and nvidia.com/gpu=all
    devices = [str(device.get("ID", "")) for device in found.get("DiscoveredDevices") or []]
    has_gpus = "nvidia" in (found.get("Runtimes") or {}) or any("gpu" in name for name in devices)
    stores_manifests = any("containerd.snapshotter" in str(pair) for pair in found.get("DriverStatus") or ())
    return EngineInfo(
        # only Podman reports the version of its builder
        name="podman" if is_podman or found.get("BuildahVersion") else "docker",
        version=str(found["ServerVersion"]),
        os=str(found["OSType"]),
        architecture=platform_of("", str(found["Architecture"])).architecture,
        cpus=int(found["NCPU"]),
        memory=int(found["MemTotal"]),
        root=str(found["DockerRootDir"]),
        gpus=has_gpus,
        gpu_devices=tuple(name for name in devices if _GPU.fullmatch(name)),
        rootless=limits.is_rootless(found),
        address=address.url,
        source=address.why,
        warnings=address.warnings,
        api=api,
        storage=str(found.get("Driver") or ""),
        cgroups=str(found.get("CgroupVersion") or ""),
        unenforced=limits.unenforced(found, controllers),
        log_has_gaps=has_gaps,
        image_ids="manifest" if stores_manifests else "config",
        verifies_layers=not stores_manifests,
        clock_offset=(seconds(str(found.get("SystemTime") or "")) or time.time()) - time.time(),
    )


def gpus_of(host: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the GPUs of a container's host configuration.

    For a number of GPUs, an engine gives the first ones. One without support may leave the request out.
    """
    names: list[str] = []
    for request in host.get("DeviceRequests") or ():
        wanted = [name for names in request.get("Capabilities") or () for name in names]
        if "gpu" in wanted or any("gpu" in name for name in request.get("DeviceIDs") or ()):
            count = int(request.get("Count") or 0)
            numbers = ("all",) if count < 0 else map(str, range(count))
            names += request.get("DeviceIDs") or numbers
    return tuple(names)


def name_of(item: Mapping[str, Any]) -> str:
    """Return the container's own name; links of other containers to it contain a second slash."""
    names = (name.removeprefix("/") for name in item["Names"] or ())
    return next((name for name in names if "/" not in name), "")


def container(item: Mapping[str, Any]) -> ContainerSummary:
    state = item["State"]
    labels = {str(key): str(value) for key, value in (item["Labels"] or {}).items()}
    return ContainerSummary(handle_of(item), labels, state == "running", started=state != "created")
