"""What the machine is doing now: cpu, memory, and the disks that matter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec


class Disk(NamedTuple):
    """A file system, in bytes; `percent` of what an ordinary user may fill, as `df` shows it."""

    used: int
    total: int
    free: int
    percent: float


class HostSample(msgspec.Struct, frozen=True):
    """One look at the host. Memory in bytes; disks by mount point; cpu since the sample before."""

    cpu_percent: float
    memory_total: int
    memory_available: int
    disks: dict[str, Disk]

    @property
    def memory_percent(self) -> float:
        """How much of the memory is not available to new programs."""
        return 100.0 * (self.memory_total - self.memory_available) / max(self.memory_total, 1)


def sample_host(disks: Sequence[Path]) -> HostSample:
    """Look at the host once, and at the file systems below `disks` (each once, however many paths).

    A path that is not there yet stands for the nearest folder above it that is.
    """
    import psutil  # some milliseconds, which `localrun --version` need not pay

    memory = psutil.virtual_memory()
    points = dict.fromkeys(mount_point(path) for path in disks)
    return HostSample(
        cpu_percent=psutil.cpu_percent(interval=None),
        memory_total=memory.total,
        memory_available=memory.available,
        disks={point: _disk(psutil.disk_usage(point)) for point in points},
    )


def mount_point(path: Path) -> str:
    """Where the file system of `path` is mounted: what `df` calls it, and what people can clean up."""
    place = os.path.realpath(path)
    while not os.path.ismount(place):
        place = os.path.dirname(place)  # noqa: PTH120 - a string in, a string out, at every look
    return place


def _disk(usage: tuple[int, int, int, float]) -> Disk:
    total, used, free, percent = usage
    return Disk(used=used, total=total, free=free, percent=percent)
