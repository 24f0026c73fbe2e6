"""This machine: its memory, its disks, its limits for processes, and the Python that runs localrun."""

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
_FILES = 256  # open files: some ten for each task that runs
_MEMORY = (85.0, 95.0)  # percent at which it is told, and at which no task starts (see `Admission`)
_NEAR = 10.0  # percent below its limit at which a disk is told


def check_host(settings: Settings, folders: Sequence[Path]) -> Iterator[Check]:
    """Everything of this machine; `folders` are those whose disks matter."""
    seen = sample_host(folders)
    yield _memory(seen)
    for point, disk in seen.disks.items():
        yield _disk(point, disk, settings)
    yield _open_files()


def check_software(version: str) -> Iterator[Check]:
    """localrun, its Python, and the packages that it needs."""
    python = platform.python_version()
    yield ok("localrun", f"{version}, in {Path(__file__).parents[2]}", version=version)
    if sys.version_info < _PYTHON:
        yield fail("python", f"{python} is too old", "use Python 3.11 or newer", version=python)
    else:
        yield ok("python", f"{python}, {sys.executable}", version=python)
    found = {name: _version(name) for name in _NEEDED}
    missing = [name for name, known in found.items() if known is None]
    if missing:
        remedy = f"pip install {' '.join(missing)}"
        yield fail("packages", f"not installed: {', '.join(missing)}", remedy, **found)
    else:
        yield ok("packages", ", ".join(f"{name} {known}" for name, known in found.items()), **found)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _memory(seen: HostSample) -> Check:
    percent = seen.memory_percent
    free, total = format_bytes(seen.memory_available), format_bytes(seen.memory_total)
    said = f"{free} of {total} are free ({percent:.0f} % used)"
    facts = {"total": seen.memory_total, "available": seen.memory_available, "percent": round(percent, 1)}
    if percent >= _MEMORY[1]:
        return fail("memory", f"{said}: no task starts", "end what uses the memory", **facts)
    if percent >= _MEMORY[0]:
        remedy = f"end what uses the memory: at {_MEMORY[1]:g} % no task starts"
        return warn("memory", said, remedy, **facts)
    return ok("memory", said, **facts)


def _disk(point: str, disk: Disk, settings: Settings) -> Check:
    free = f"{format_bytes(disk.free)} of {format_bytes(disk.total)}"
    said = f"{point}: {free} are free ({disk.percent:.0f} % used)"
    facts = {"mount": point, **disk._asdict()}
    remedy = "free some: `localrun prune`, `docker system df`"
    if disk.percent >= settings.disk_limit or disk.free < settings.disk_reserve:
        return fail("disk", f"{said}: no task starts", remedy, **facts)
    if disk.percent >= settings.disk_limit - _NEAR:
        return warn("disk", f"{said}; at {settings.disk_limit:g} % no task starts", remedy, **facts)
    return ok("disk", said, **facts)


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        remedy = f"ulimit -n {min(1024, hard) if hard > 0 else 1024}"
        return warn("open files", f"at most {soft}: too few for many tasks at once", remedy, limit=soft)
    return ok("open files", f"at most {soft}", limit=soft)


def filesystem_type(path: Path) -> str:
    """The kind of file system that a path is on, as the kernel calls it; empty when that cannot be seen."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    place = os.path.realpath(path)
    fitting = [line.split() for line in lines]
    points = [(len(fields[1]), fields[2]) for fields in fitting if _is_below(place, fields[1])]
    return max(points, default=(0, ""))[1]


def _is_below(place: str, point: str) -> bool:
    point = point.replace("\\040", " ")
    return place == point or place.startswith(point.rstrip("/") + "/")
