"""Checks of this machine: Python, packages, memory, disks and open files."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from localrun.admission import Disk, HostSample, sample_host
from localrun.maintenance.doctor.check import Check, fail, ok, warn
from localrun.settings import Settings
from localrun.units import format_bytes

_PYTHON = (3, 11)
_NEEDED = ("click", "msgspec", "PyYAML", "rich", "psutil", "filelock", "numpy", "shapely", "docker")
_FILES = 256  # open files: a running task needs about ten
_MEMORY = (85.0, 95.0)  # percent in use at which to warn, and at which no task starts (see `Admission`)
_MARGIN = 10.0  # warn if a disk is this many percent below its limit


def check_host(settings: Settings, folders: Sequence[Path]) -> Iterator[Check]:
    """Yield the checks of the machine and of the disks that hold `folders`."""
    host = sample_host(folders)
    yield _memory(host)
    for point, disk in host.disks.items():
        yield _disk(point, disk, settings)
    yield _open_files()


def check_software(version: str) -> Iterator[Check]:
    """Yield the checks of localrun, Python and the required packages."""
    python = platform.python_version()
    yield ok("localrun", f"{version} in {Path(__file__).parents[2]}", version=version)
    if sys.version_info < _PYTHON:
        remedy = "install localrun with Python 3.11 or newer"
        yield fail("python", f"{python} is too old", remedy, version=python)
    else:
        yield ok("python", f"{python} ({sys.executable})", version=python)
    found = {name: _version(name) for name in _NEEDED}
    missing = [name for name, installed in found.items() if installed is None]
    if missing:
        remedy = f"pip install {' '.join(missing)}"
        yield fail("packages", f"not installed: {', '.join(missing)}", remedy, **found)
    else:
        yield ok("packages", ", ".join(f"{name} {installed}" for name, installed in found.items()), **found)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _memory(host: HostSample) -> Check:
    percent = host.memory_percent
    free, total = format_bytes(host.memory_available), format_bytes(host.memory_total)
    usage = f"{free} of {total} free ({percent:.0f} % used)"
    facts = {"total": host.memory_total, "available": host.memory_available, "percent": round(percent, 1)}
    remedy = "stop programs that use a lot of memory"
    if percent >= _MEMORY[1]:
        return fail("memory", f"{usage}: no task starts", remedy, **facts)
    if percent >= _MEMORY[0]:
        return warn("memory", f"{usage}; at {_MEMORY[1]:g} % no task starts", remedy, **facts)
    return ok("memory", usage, **facts)


def _disk(point: str, disk: Disk, settings: Settings) -> Check:
    free, total = format_bytes(disk.free), format_bytes(disk.total)
    usage = f"{point}: {free} of {total} free ({disk.percent:.0f} % used)"
    facts = {"mount": point, **disk._asdict()}
    remedy = "free some space: `localrun prune`, `docker system df`"
    if disk.percent >= settings.disk_limit or disk.free < settings.disk_reserve:
        return fail("disk", f"{usage}: no task starts", remedy, **facts)
    if disk.percent >= settings.disk_limit - _MARGIN:
        return warn("disk", f"{usage}; at {settings.disk_limit:g} % no task starts", remedy, **facts)
    return ok("disk", usage, **facts)


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        remedy = f"ulimit -n {min(1024, hard) if hard > 0 else 1024}"
        return warn("open files", f"the limit of {soft} is too low for many tasks", remedy, limit=soft)
    return ok("open files", f"the limit is {soft}", limit=soft)


def filesystem_type(path: Path) -> str:
    """Return the kernel's name of the file system that holds a path, or an empty string if unknown."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    real = Path(os.path.realpath(path))
    mounts = [line.split()[1:3] for line in lines]
    found = [(len(at), kind) for at, kind in mounts if real.is_relative_to(at.replace("\\040", " "))]
    return max(found, default=(0, ""))[1]
