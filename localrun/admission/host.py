"""Samples of the host: CPU, memory and disks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec


class Disk(NamedTuple):
    """A file system, in bytes. `percent` is the share of the user-writable space, as in `df`."""

    used: int
    total: int
    free: int
    percent: float


class HostSample(msgspec.Struct, frozen=True):
    """One sample of the host: memory in bytes, disks by mount point, CPU since the previous sample."""

    cpu_percent: float
    memory_total: int
    memory_available: int
    disks: dict[str, Disk]

    @property
    def memory_percent(self) -> float:
        """Percent of the memory that is not available to new programs."""
        return 100.0 * (self.memory_total - self.memory_available) / max(self.memory_total, 1)


def sample_host(disks: Sequence[Path]) -> HostSample:
    """Sample the host and the file systems of `disks`, each file system once.

    A path that does not exist yet stands for its nearest existing parent.
    """
    import psutil  # takes some milliseconds, which `localrun --version` does not need

    memory = psutil.virtual_memory()
    points = dict.fromkeys(mount_point(path) for path in disks)
    return HostSample(
        cpu_percent=psutil.cpu_percent(interval=None),
        memory_total=memory.total,
        memory_available=memory.available,
        disks={point: Disk(**psutil.disk_usage(point)._asdict()) for point in points},
    )


def mount_point(path: Path) -> str:
    """Return the mount point of the file system of `path`, as `df` shows it."""
    place = os.path.realpath(path)
    while not os.path.ismount(place):
        place = os.path.dirname(place)  # noqa: PTH120 - strings, for speed in every sample
    return place
