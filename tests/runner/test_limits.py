"""Limits that an engine does not enforce are in the warnings and in the record of each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from localrun.engines.fake import FakeEngine
from localrun.engines.fake.engine import INFO
from localrun.runner.limits import check_usage, report_unenforced
from localrun.task.active import ActiveTask
from localrun.task.record import Resources, RunPlan, TaskRecord, UsageRecord
from localrun.task.states import TaskState
from tests.support.environment import IMAGE, make_environment
from tests.support.server_client import add

MIB = 1024**2


def run(folder: Path, engine: FakeEngine) -> TaskRecord:
    with make_environment(folder, engine=engine, image=IMAGE) as env:
        return env.run(values={"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("unenforced", "named"),
    [
        (("memory", "swap", "pids", "cpu"), "memory, swap, processes, CPU"),
        (("swap",), "limits of swap"),
        (("cpu",), "limits of CPU"),
    ],
)
def test_limits_that_the_engine_does_not_enforce_are_reported(
    tmp_path: Path, unenforced: tuple[str, ...], named: str
) -> None:
    record = run(tmp_path, FakeEngine(add, info=replace(INFO, unenforced=unenforced)))
    assert record.state is TaskState.FINISHED
    assert record.unenforced == list(unenforced)
    (warning,) = record.warnings
    assert "does not enforce" in warning
    assert named in warning


def test_a_record_of_an_engine_that_enforces_all_limits_names_none(tmp_path: Path) -> None:
    record = run(tmp_path, FakeEngine(add))
    assert (record.unenforced, record.warnings) == ([], [])
    assert "unenforced" not in record.as_dict()


class StubTask:
    """A task whose record can be changed and warned about."""

    def __init__(self, usage: UsageRecord | None, unenforced: list[str]) -> None:
        self.record = TaskRecord(
            id="x",
            bundle="b",
            usage=usage,
            unenforced=unenforced,
            resources=Resources(memory=64 * MIB),
            plan=RunPlan(pids=4096),
        )
        self.warnings: list[str] = []

    def update(self, **changes: Any) -> None:
        self.record = self.record.replace(**changes)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def used(memory: int = MIB, processes: int = 1) -> UsageRecord:
    return UsageRecord(
        samples=3,
        cpu_seconds=1.0,
        memory_peak=memory,
        memory_most=None,
        read_bytes=0,
        written_bytes=0,
        processes=processes,
    )


@pytest.mark.parametrize(
    ("usage", "limits", "words"),
    [
        (used(memory=450 * MIB), ["memory"], ["the task used 450 MiB of memory"]),
        (used(processes=5000), ["pids"], ["the task used 5000 processes"]),
        (used(450 * MIB, 5000), ["memory", "pids"], ["450 MiB", "5000 processes"]),
        (used(memory=64 * MIB, processes=4096), [], []),
        (None, [], []),
    ],
)
def test_usage_above_a_limit_proves_that_it_is_not_enforced(
    usage: UsageRecord | None, limits: list[str], words: list[str]
) -> None:
    task = StubTask(usage, [])
    check_usage(cast("ActiveTask", task))
    assert task.record.unenforced == limits
    assert all(word in warning for word, warning in zip(words, task.warnings, strict=True))


def test_a_limit_is_reported_once() -> None:
    task = StubTask(used(memory=450 * MIB), [])
    report_unenforced(cast("ActiveTask", task), ("memory",))
    report_unenforced(cast("ActiveTask", task), ("memory",))  # a retry
    check_usage(cast("ActiveTask", task))
    assert task.record.unenforced == ["memory"]
    assert len(task.warnings) == 1
