"""Resource usage from the engine's statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localrun.engines.base import Usage
from localrun.engines.dockerd.failures import container_gone


def parse_usage(stats: Mapping[str, Any], machine: int = 0) -> Usage | None:
    """Parse one sample of a container's statistics, of Docker's or of Podman's own API.

    Return None if the container is not running, and if the sample is that of the machine, which has `machine`
    bytes of memory: an engine without control groups measures that instead.
    """
    if "Stats" in stats:
        return _podman_usage(stats, machine)
    memory = stats.get("memory_stats") or {}
    pids = (stats.get("pids_stats") or {}).get("current") or 0
    if not memory.get("usage") and not pids:
        return None
    if _is_of_machine(int(memory.get("limit") or 0), machine):
        return None
    moved = _io_bytes((stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or [])
    peak = memory.get("max_usage")
    return Usage(
        cpu_seconds=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        memory=_memory_in_use(memory),
        memory_peak=None if peak is None else int(peak),
        read_bytes=moved.get("read", 0),
        written_bytes=moved.get("write", 0),
        pids=int(pids),
    )


def _podman_usage(stats: Mapping[str, Any], machine: int) -> Usage | None:
    """Parse one report of Podman's `GET /libpod/containers/stats` for one container."""
    if stats.get("Error") is not None:
        raise container_gone("measure the container")
    found = next(iter(stats["Stats"] or ()), None)
    if found is None or not (found["MemUsage"] or found["PIDs"]):
        return None
    if _is_of_machine(int(found["MemLimit"]), machine):
        return None
    return Usage(
        cpu_seconds=found["CPUNano"] / 1e9,
        memory=int(found["MemUsage"]),
        memory_peak=None,
        read_bytes=int(found["BlockInput"]),
        written_bytes=int(found["BlockOutput"]),
        pids=int(found["PIDs"]),
    )


def _is_of_machine(limit: int, machine: int) -> bool:
    return limit >= machine > 0


def _memory_in_use(memory: Mapping[str, Any]) -> int:
    """Return the memory without the file cache that the kernel can reclaim, as `docker stats` shows it."""
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return max(0, int(memory.get("usage", 0)) - int(cache))


def _io_bytes(rows: list[Mapping[str, Any]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        word = str(row["op"]).lower()  # capitalised by cgroup 1
        sums[word] = sums.get(word, 0) + int(row["value"])
    return sums
