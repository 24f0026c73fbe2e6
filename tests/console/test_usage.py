from __future__ import annotations

import pytest

from localrun.console.usage import format_usage
from localrun.task.record import Resources, RunPlan, TaskRecord, UsageRecord
from localrun.task.states import TaskState

MIB = 1024**2


def record(**changes: object) -> TaskRecord:
    fields: dict[str, object] = {
        "id": "i",
        "bundle": "b",
        "state": TaskState.FINISHED,
        "history": [(TaskState.RUNNING, 1.0), (TaskState.FINISHED, 2.0)],
        "resources": Resources(memory=64 * MIB),
    }
    return TaskRecord(**(fields | changes))  # type: ignore[arg-type]


def test_the_peak_is_shown_with_its_limit() -> None:
    usage = UsageRecord(
        samples=1,
        cpu_seconds=3.25,
        memory_peak=16 * MIB,
        memory_most=20 * MIB,
        read_bytes=1024,
        written_bytes=2048,
        processes=1,
    )
    assert format_usage(record(usage=usage)) == (
        "peak memory 16 MiB of 64 MiB (25 %), with cached files 20 MiB; cpu 3.2 s;"
        " disk 1 KiB read, 2 KiB written"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "peak memory not sampled, limit 64 MiB"),
        ({"plan": RunPlan(replicas=3)}, "separate for each replica, limit 64 MiB"),
        ({"oom": "yes"}, "memory above its limit of 64 MiB"),
        ({"history": [(TaskState.CREATED, 1.0), (TaskState.FAILED, 2.0)]}, ""),
    ],
)
def test_a_missing_measurement_is_reported(changes: dict[str, object], text: str) -> None:
    assert format_usage(record(**changes)) == text
