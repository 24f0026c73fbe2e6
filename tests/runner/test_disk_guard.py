from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

import pytest

from localrun.admission.host import Disk, HostSample
from localrun.engines.dockerd import DockerEngine
from localrun.runner.disk_guard import DiskMonitor, MonitoredTask
from localrun.task.states import TaskState
from tests.support.busybox_image import busybox_image
from tests.support.environment import make_environment
from tests.support.small_disk import FLOOD, small_disk


def at(percent: float) -> HostSample:
    return HostSample(0, 1, 1, {"/": Disk(used=1, total=2, free=1, percent=percent)})


def test_the_task_that_has_written_most_is_stopped_once(tmp_path: Path) -> None:
    stopped: queue.Queue[tuple[str, str]] = queue.Queue()
    both = threading.Event()  # are monitored
    watch = DiskMonitor([tmp_path], 90, sample_host=lambda _: at(93 if both.is_set() else 50), interval=0.001)
    small = MonitoredTask(lambda: 10, lambda why: stopped.put(("small", why)))
    large = MonitoredTask(lambda: 5 * 1024**2, lambda why: stopped.put(("large", why)))
    with watch.monitor("small", small), watch.monitor("large", large):
        both.set()
        assert stopped.get(timeout=60) == (
            "large",
            "disk-pressure: / is 93 % full, limit 90 %; the task had written 5 MiB",
        )
        assert stopped.get(timeout=60)[0] == "small"
    assert stopped.empty()


def test_nothing_is_stopped_below_the_limit(tmp_path: Path) -> None:
    looked: queue.Queue[None] = queue.Queue()
    stopped: list[str] = []

    def look(_: object) -> HostSample:
        looked.put(None)
        return at(89)

    watch = DiskMonitor([tmp_path], 90, sample_host=look, interval=0.001)
    with watch.monitor("a", MonitoredTask(lambda: 1, stopped.append)):
        for _ in range(3):
            looked.get(timeout=60)
    assert stopped == []


def test_the_disk_is_monitored_only_while_tasks_run(tmp_path: Path) -> None:
    watch = DiskMonitor([tmp_path], 90, sample_host=lambda _: at(1), interval=60)
    for _ in range(3):
        with watch.monitor("a", MonitoredTask(lambda: 1, lambda _: None)):
            assert "disk-monitor" in [thread.name for thread in threading.enumerate()]
        assert "disk-monitor" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.docker
def test_a_task_that_fills_the_disk_is_stopped_before_it_is_full(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    with (
        busybox_image(docker_engine, "sh", "-c", FLOOD) as name,
        small_disk(tmp_path / "disk", "64m", docker_engine, name) as disk,
        make_environment(disk, engine=docker_engine, image=name, disk_stop=80.0, disk_reserve=0) as env,
    ):
        record = env.run(values={"a": 1, "b": 2}, timeout=60)
        assert (record.state, record.cause) == (TaskState.FAILED, "DISK_PRESSURE")
        assert "limit 80 %" in record.message
        assert (Path(record.folder) / "outputs/sum").stat().st_size > 1024**2
        assert os.statvfs(disk).f_bavail > 0
