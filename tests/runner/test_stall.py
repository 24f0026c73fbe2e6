"""Warnings about stalled tasks."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from localrun.engines.base import Usage
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.runner import usage as sampling
from localrun.runner.stall import StallDetector, idle_seconds
from localrun.task.events import Event
from localrun.task.states import TaskState
from tests.support.environment import make_environment


def use(cpu: float = 0.0, moved: int = 0) -> Usage:
    return Usage(cpu, 1, 1, 0, moved, 1)


def warnings(stall: StallDetector, looks: list[tuple[float, int, Usage]]) -> list[float]:
    """Return the times of warnings."""
    return [now for now, written, usage in looks if stall.check(now, written, usage, lambda: math.inf)]


def test_an_idle_task_is_warned_about_once() -> None:
    looks = [(float(now), 10, use(0.001 * now)) for now in range(100)]
    assert warnings(StallDetector(30), looks) == [30.0]


def test_the_warning_has_the_idle_time_and_the_cpu_time() -> None:
    stall = StallDetector(60)
    assert stall.check(0, 10, use(1.0), lambda: math.inf) == ""
    assert stall.check(75, 10, use(1.2), lambda: math.inf) == (
        "the task may be stuck: no output and 200 ms of CPU time for 1 min 15 s (still running)"
    )


Look = Callable[[float], tuple[float, int, Usage]]


@pytest.mark.parametrize(
    "look",
    [
        lambda now: (now, int(now // 20), use()),  # it writes to its log
        lambda now: (now, 0, use(moved=int(now // 20))),  # to its files
        lambda now: (now, 0, use(cpu=0.02 * now)),  # it computes
    ],
)
def test_an_active_task_is_not_stalled(look: Look) -> None:
    assert warnings(StallDetector(30), [look(float(now)) for now in range(200)]) == []


def test_a_task_that_stalls_again_is_warned_about_again() -> None:
    looks = [(float(now), 0 if now < 50 else 1, use()) for now in range(100)]
    assert warnings(StallDetector(30), looks) == [30.0, 80.0]


def test_a_task_that_hangs_after_computing_is_stalled() -> None:
    looks = [(float(now), 0, use(cpu=float(min(now, 40)))) for now in range(200)]
    assert warnings(StallDetector(30), looks) == [90.0]


def test_writes_in_the_page_cache_count_as_activity() -> None:
    stall, last = StallDetector(30), 45.0  # the last write to a file, which is still in the page cache
    seen = []
    for now in map(float, range(100)):
        if stall.check(now, 0, use(), partial(max, 0.0, now - last)):
            seen.append(now)
    assert seen == [75.0]


def test_idle_seconds_are_counted_from_the_last_write(tmp_path: Path) -> None:
    assert idle_seconds(tmp_path) == math.inf
    assert idle_seconds(tmp_path / "none") == math.inf
    (tmp_path / "deep").mkdir()
    for name, age in (("old", 500), ("deep/young", 100)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (tmp_path / "link").symlink_to("/nowhere")
    os.utime(tmp_path / "link", (0, 0), follow_symlinks=False)
    assert 99 < idle_seconds(tmp_path) < 120


def test_zero_disables_the_warning() -> None:
    assert warnings(StallDetector(0), [(float(now), 0, use()) for now in range(10**4)]) == []


def test_a_stalled_task_gets_a_warning_and_ends_as_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_DELAY", 0.0)
    warned = threading.Event()

    def wait(container: FakeContainer) -> int:
        assert warned.wait(60)
        container.path("/outputs/sum").write_text("3")
        return 0

    def hear(event: Event) -> None:
        if event.kind == "warning":
            warned.set()

    engine = FakeEngine(wait)
    engine.usage_interval = 0.01
    with make_environment(tmp_path, engine=engine, stall=0.05) as env:
        task = env.submit(values={"a": 1, "b": 2}, listener=hear)
        assert warned.wait(60)
        ended = env.app.manager.wait(task)
    assert ended is not None
    assert ended.state is TaskState.FINISHED
    assert [text.split(":")[0] for text in ended.warnings] == ["the task may be stuck"]
    events = [json.loads(line) for line in task.workspace.events.read_text().splitlines()]
    (event,) = [event for event in events if event["kind"] == "warning"]
    assert event["data"] == {"stalled": True}
