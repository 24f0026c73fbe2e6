"""Resource usage from the statistics of both cgroup versions."""

from __future__ import annotations

from typing import Any

from localrun.engines.base import Usage
from localrun.engines.dockerd.stats import parse_usage

CPU = {"cpu_usage": {"total_usage": 2_500_000_000}}
MIB = 1024**2


def test_cgroup_1_has_a_peak_and_capitalised_names() -> None:
    stats: dict[str, Any] = {
        "cpu_stats": CPU,
        "pids_stats": {"current": 3},
        "memory_stats": {
            "usage": 30 * MIB,
            "max_usage": 50 * MIB,
            "stats": {"total_inactive_file": 10 * MIB, "inactive_file": 9 * MIB},
        },
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"op": "Read", "value": 100},
                {"op": "Write", "value": 7},
                {"op": "Total", "value": 107},
                {"op": "Read", "value": 11},  # of another disk
            ]
        },
    }
    assert parse_usage(stats) == Usage(2.5, 20 * MIB, 50 * MIB, 111, 7, 3)


def test_cgroup_2_has_no_peak() -> None:
    stats: dict[str, Any] = {
        "cpu_stats": CPU,
        "pids_stats": {"current": 1},
        "memory_stats": {"usage": 30 * MIB, "stats": {"inactive_file": 4 * MIB}},
        "blkio_stats": {"io_service_bytes_recursive": [{"op": "read", "value": 5}]},
    }
    assert parse_usage(stats) == Usage(2.5, 26 * MIB, None, 5, 0, 1)


def test_what_nothing_was_read_or_written_of_is_null() -> None:
    stats: dict[str, Any] = {
        "cpu_stats": CPU,
        "pids_stats": {"current": 1},
        "memory_stats": {"usage": 1, "stats": {"inactive_file": 9}},
        "blkio_stats": {"io_service_bytes_recursive": None},
    }
    assert parse_usage(stats) == Usage(2.5, 0, None, 0, 0, 1)


def test_a_container_that_does_not_run_has_none() -> None:
    empty = {"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "pids_stats": {}, "memory_stats": {}}
    assert parse_usage(empty) is None
    assert parse_usage({}) is None
