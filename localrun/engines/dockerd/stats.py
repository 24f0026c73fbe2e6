"""What the engine measures of a container, in our units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localrun.engines.base import Usage


def parse_usage(stats: Mapping[str, Any]) -> Usage | None:
    """Read one sample of `GET /containers/{id}/stats`; None when the container does not run."""
    memory = stats.get("memory_stats") or {}
    pids = (stats.get("pids_stats") or {}).get("current") or 0
    if not memory.get("usage") and not pids:
        return None
    moved = _moved((stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or [])
    peak = memory.get("max_usage")
    return Usage(
        cpu_seconds=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        memory=_in_use(memory),
        memory_peak=None if peak is None else int(peak),
        read_bytes=moved.get("read", 0),
        written_bytes=moved.get("write", 0),
        pids=int(pids),
    )


def _in_use(memory: Mapping[str, Any]) -> int:
    """Memory without the file cache that the kernel can drop, as `docker stats` shows it."""
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return max(0, int(memory.get("usage", 0)) - int(cache))


def _moved(rows: list[Mapping[str, Any]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        word = str(row["op"]).lower()  # cgroup 1 writes it with a capital
        sums[word] = sums.get(word, 0) + int(row["value"])
    return sums
