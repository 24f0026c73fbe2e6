"""Checks of the container engine: version, access, storage, limits, GPU and clock."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from localrun.engines.base import Engine, EngineInfo
from localrun.engines.versions import oldest_version
from localrun.errors import LocalrunError
from localrun.maintenance.doctor.check import Check, fail, ok, warn
from localrun.units import format_bytes, format_duration

_SLOW = ("vfs", "devicemapper", "aufs")  # storage drivers that copy files, or that are deprecated
_BUILDERS = {
    "buildx": "BuildKit by docker buildx",
    "cli": "BuildKit by the docker command",
    "buildah": "Podman's own build",
}
_MAX_CLOCK_OFFSET = 2.0  # seconds
_UNENFORCED = {
    "memory": "a task can use all memory of the machine",
    "swap": "a task can use swap in addition to its memory",
    "pids": "a task can start any number of processes",
    "cpu": "a task can use more CPU than it requested",
}


def check_engine(info: EngineInfo) -> Iterator[Check]:
    yield _engine(info)
    for warning in info.warnings:
        yield warn("configuration", warning, "correct what is named, or remove it from the file")
    yield from _socket(info)
    yield _storage(info)
    yield _limits(info)
    yield _gpu(info)
    yield _clock(info)


def check_builder(engine: Engine) -> Check:
    """Check what builds images."""
    try:
        found = engine.builder_info()
    except LocalrunError as error:
        return fail("builder", error.message, error.remedy)
    facts = {"kind": found.kind, "version": found.version, "path": found.path}
    if found.kind == "classic":
        message = "the engine's classic builder, without BuildKit: `RUN --mount` and TARGETARCH do not work"
        return warn("builder", message, found.remedy, **facts)
    summary = " ".join(filter(None, (_BUILDERS.get(found.kind, found.kind), found.version)))
    if found.path and not found.version:
        return warn("builder", f"{summary}: {found.path} does not start", "install it again", **facts)
    return ok("builder", f"{summary}, {found.path}" if found.path else summary, **facts)


def _engine(info: EngineInfo) -> Check:
    why = f" ({info.source})" if info.source else ""
    at = f" at {info.address}{why}" if info.address else ""
    api = f", API {info.api}" if info.api else ""
    mode = ", rootless" if info.rootless else ""
    summary = f"{info.name} {info.version}{at}: {info.os}/{info.architecture}{api}{mode}"
    found = {"version": info.version, "address": info.address, "source": info.source, "api": info.api}
    facts = {**found, "rootless": info.rootless}
    oldest = oldest_version(info)
    if _version(info.version) < _version(oldest):
        return warn("engine", f"{summary}; older than {oldest}", "update the engine", **facts)
    return ok("engine", f"{summary}, {info.cpus} CPUs, {format_bytes(info.memory)} memory", **facts)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())


def _socket(info: EngineInfo) -> Iterator[Check]:
    """Check who can use the socket: access to the engine is equivalent to root."""
    if not info.address.startswith("unix://"):
        return
    path = Path(info.address.removeprefix("unix://"))
    try:
        status = path.stat()
    except OSError:  # the engine has answered: it is reached by another path
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IWOTH:
        message = f"all users of this machine can use {path}, which is equivalent to root"
        yield warn("socket", message, f"sudo chmod o-rw {path}", mode=oct(mode))
    else:
        how = "as its owner" if os.geteuid() in (0, status.st_uid) else "as a member of its group"
        yield ok("socket", f"{path}: accessible {how}", mode=oct(mode))


def _storage(info: EngineInfo) -> Check:
    if info.storage in _SLOW:
        message = f"the storage driver {info.storage} is slow or deprecated"
        remedy = 'set `"storage-driver": "overlay2"` in /etc/docker/daemon.json'
        return warn("storage", message, remedy, driver=info.storage)
    return ok("storage", f"{info.storage or 'unknown'} in {info.root}", driver=info.storage, root=info.root)


def _limits(info: EngineInfo) -> Check:
    facts = {"cgroups": info.cgroups, "unheld": list(info.unenforced)}
    version = f"cgroups v{info.cgroups}" if info.cgroups else "cgroups"
    if not info.unenforced:
        return ok("limits", f"{version}: limits of memory, swap, CPU and processes are enforced", **facts)
    problems = "; ".join(_UNENFORCED[name] for name in info.unenforced)
    remedy = "enable all cgroup controllers for the engine (`docker info` lists the missing ones)"
    if info.rootless and info.cgroups == "1":
        remedy = "boot with `systemd.unified_cgroup_hierarchy=1`: a rootless engine needs cgroups v2"
    elif info.rootless:
        remedy = (
            "set `Delegate=cpu cpuset io memory pids` with `sudo systemctl edit user@.service`; log in again"
        )
    elif info.unenforced == ("swap",):
        remedy = "boot with the kernel parameter `swapaccount=1`, or turn swap off"
    result = fail if "memory" in info.unenforced else warn
    return result("limits", f"{version}: {problems}", remedy, **facts)


def _gpu(info: EngineInfo) -> Check:
    if info.gpus:
        names = f": {', '.join(info.gpu_devices)}" if info.gpu_devices else ""
        return ok("gpu", f"available to tasks{names}", gpus=True)
    return ok("gpu", "none; tasks that request one are rejected (`--gpus 0` runs them without)", gpus=False)


def _clock(info: EngineInfo) -> Check:
    offset, seconds = abs(info.clock_offset), round(info.clock_offset, 3)
    if offset <= _MAX_CLOCK_OFFSET:
        return ok("clock", "the same time as on this machine", seconds=seconds)
    ahead = "ahead of" if info.clock_offset > 0 else "behind"
    message = f"the engine's clock is {format_duration(offset)} {ahead} this machine's clock"
    remedy = "synchronize both clocks, e.g. with NTP, so that the times in records are consistent"
    return warn("clock", message, remedy, seconds=seconds)
