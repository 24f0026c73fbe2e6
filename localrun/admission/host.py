"""Samples of the host: CPU, memory and disks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

_MEMORY = Path("/proc/meminfo")


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
    total, available, cpu = _memory_and_cpu()
    points = dict.fromkeys(mount_point(path) for path in disks)
    return HostSample(cpu, total, available, {point: _disk(point) for point in points})


def _memory_and_cpu() -> tuple[int, int, float]:
    """Return the total and the available memory in bytes, and the percentage of CPU time in use."""
    try:
        with _MEMORY.open("rb") as file:
            memory = dict(line.split(b":", 1) for line in file)
        total, available = (int(memory[name].split()[0]) * 1024 for name in (b"MemTotal", b"MemAvailable"))
        return total, available, _cpu.percent()
    except (OSError, KeyError, ValueError):  # not Linux
        import psutil  # takes as long as a tenth of all other modules

        found = psutil.virtual_memory()
        return found.total, found.available, psutil.cpu_percent(interval=None)


class _CpuTimes:
    """The times of all CPUs at the previous sample."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._busy = self._total = 0

    def percent(self) -> float:
        """Return the share of the time since the previous call; of the time since the start at first."""
        with self._file.open("rb") as file:
            # user, nice, system, idle, iowait, irq, softirq, steal; the times of guests are part of user
            times = [int(part) for part in file.readline().split()[1:9]]
        busy, total = sum(times) - sum(times[3:5]), sum(times)
        passed, used = total - self._total, busy - self._busy
        self._busy, self._total = busy, total
        return round(max(0.0, 100.0 * used / passed), 1) if passed > 0 else 0.0


_cpu = _CpuTimes(Path("/proc/stat"))


def _disk(point: str) -> Disk:
    found = os.statvfs(point)
    used, free = found.f_blocks - found.f_bfree, found.f_bavail
    percent = round(100.0 * used / (used + free), 1) if used + free else 0.0
    unit = found.f_frsize
    return Disk(used * unit, found.f_blocks * unit, free * unit, percent)


def mount_point(path: Path) -> str:
    """Return the mount point of the file system of `path`, as `df` shows it."""
    place = os.path.realpath(path)
    while not os.path.ismount(place):
        place = os.path.dirname(place)  # noqa: PTH120 - strings, for speed in every sample
    return place
