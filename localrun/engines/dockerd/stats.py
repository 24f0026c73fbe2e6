"""Resource usage from the engine's statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localrun.engines.base import Usage


def parse_usage(stats: Mapping[str, Any]) -> Usage | None:
    """Parse one sample of `GET /containers/{id}/stats`; return None if the container is not running."""
    memory = stats.get("memory_stats") or {}
    pids = (stats.get("pids_stats") or {}).get("current") or 0
    if not memory.get("usage") and not pids:
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
