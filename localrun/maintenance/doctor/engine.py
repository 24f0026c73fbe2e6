"""The container engine: whether it answers, and whether it holds tasks to their limits."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from localrun.engines.base import EngineInfo
from localrun.maintenance.doctor.check import Check, fail, ok, warn
from localrun.units import format_bytes, format_duration

_OLDEST = (20, 10)  # versions that the tests of the engine's contract have seen
_SLOW = ("vfs", "devicemapper", "aufs")  # storage drivers that copy, or that engines have given up
_APART = 2.0  # seconds between two clocks
_LOOSE = {
    "memory": "a task may use all of the machine's memory",
    "swap": "a task may use swap beyond its memory",
    "pids": "a task may start any number of processes",
    "cpu": "a task may use more cpu than it asked for",
}


def check_engine(info: EngineInfo) -> Iterator[Check]:
    """Everything that is known of an engine that answers."""
    yield _engine(info)
    yield from _socket(info)
    yield _storage(info)
    yield _limits(info)
    yield _gpu(info)
    yield _clock(info)


def _engine(info: EngineInfo) -> Check:
    at = f" at {info.address}" if info.address else ""
    api = f", API {info.api}" if info.api else ""
    mode = ", rootless" if info.rootless else ""
    said = f"{info.name} {info.version}{at}: {info.os}/{info.architecture}{api}{mode}"
    facts = {"version": info.version, "address": info.address, "api": info.api, "rootless": info.rootless}
    if info.name == "docker" and _version(info.version) < _OLDEST:
        return warn("engine", f"{said}; it is older than 20.10", "update the engine", **facts)
    return ok("engine", f"{said}, {info.cpus} cpus, {format_bytes(info.memory)} of memory", **facts)


def _version(text: str) -> tuple[int, ...]:
    parts = text.split(".")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())


def _socket(info: EngineInfo) -> Iterator[Check]:
    """Who may use the engine: whoever may is root on its machine."""
    if not info.address.startswith("unix://"):
        return
    path = Path(info.address.removeprefix("unix://"))
    try:
        status = path.stat()
    except OSError:  # it has just answered: its address is not the path that is used
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IWOTH:
        yield warn(
            "socket",
            f"everybody on this machine may use {path}, and that is as much as being root",
            f"sudo chmod o-rw {path}",
            mode=oct(mode),
        )
    else:
        how = (
            "as its owner"
            if status.st_uid == os.geteuid() or os.geteuid() == 0
            else "as a member of its group"
        )
        yield ok("socket", f"you may use {path} {how}", mode=oct(mode))


def _storage(info: EngineInfo) -> Check:
    if info.storage in _SLOW:
        return warn(
            "storage",
            f"the engine keeps images with {info.storage}, which is slow or given up",
            'set `"storage-driver": "overlay2"` in /etc/docker/daemon.json',
            driver=info.storage,
        )
    return ok("storage", f"{info.storage or 'unknown'} in {info.root}", driver=info.storage, root=info.root)


def _limits(info: EngineInfo) -> Check:
    facts = {"cgroups": info.cgroups, "unheld": list(info.unenforced)}
    version = f"cgroups v{info.cgroups}" if info.cgroups else "cgroups"
    if not info.unenforced:
        return ok("limits", f"{version}: memory, swap, cpu and processes are held to their limits", **facts)
    loose = "; ".join(_LOOSE[name] for name in info.unenforced)
    remedy = "let the engine run with all cgroup controllers (`docker info` names what is missing)"
    if info.unenforced == ("swap",):
        remedy = "boot with `swapaccount=1` on the kernel's command line, or turn swap off"
    told = fail if "memory" in info.unenforced else warn
    return told("limits", f"{version}: {loose}", remedy, **facts)


def _gpu(info: EngineInfo) -> Check:
    if info.gpus:
        return ok("gpu", "the engine can give GPUs to tasks", gpus=True)
    return ok("gpu", "none; a task that asks for one is refused, `--gpus 0` runs it without", gpus=False)


def _clock(info: EngineInfo) -> Check:
    if abs(info.clock_offset) <= _APART:
        return ok("clock", "the engine's clock is this machine's", seconds=round(info.clock_offset, 3))
    ahead = "ahead of" if info.clock_offset > 0 else "behind"
    return warn(
        "clock",
        f"the engine's clock is {format_duration(abs(info.clock_offset))} {ahead} this machine's",
        "set both clocks, for example by NTP: times in records would contradict each other",
        seconds=round(info.clock_offset, 3),
    )
