"""The heartbeat: immediate, complete, and stopped on request."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from localrun.admission import HostSample, sample_host
from localrun.server.journal import HeartbeatEmitter, Journal


class Beats:
    """Counts the heartbeats, so that a test can wait for one."""

    def __init__(self) -> None:
        self.count = threading.Semaphore(0)

    def __call__(self) -> int:
        self.count.release()
        return 2

    def wait(self, number: int = 1) -> None:
        for _ in range(number):
            assert self.count.acquire(timeout=60)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "logs")


def test_the_first_beat_is_at_once_and_tells_cpu_memory_disk_and_tasks(
    journal: Journal, tmp_path: Path
) -> None:
    beats = Beats()
    with HeartbeatEmitter(
        journal, host=lambda: sample_host([tmp_path]), running=lambda: 1, waiting=beats, interval=1000
    ):
        beats.wait()
    (line,) = journal.read(event_type="heartbeat")
    data = line["data"]
    assert (data["running"], data["waiting"]) == (1, 2)
    assert 0 < data["memory"]["available"] <= data["memory"]["total"]
    assert data["cpu_percent"] >= 0
    assert [set(disk) for disk in data["disks"].values()] == [{"used", "total", "free", "percent"}]


def test_it_beats_again_and_again(journal: Journal) -> None:
    beats = Beats()
    with HeartbeatEmitter(
        journal, host=lambda: HostSample(1.0, 2, 1, {}), running=lambda: 0, waiting=beats, interval=0.001
    ):
        beats.wait(3)
    assert len(list(journal.read(event_type="heartbeat"))) >= 3


def test_it_ends_when_it_is_told_and_leaves_no_thread(journal: Journal) -> None:
    before = set(threading.enumerate())
    heart = HeartbeatEmitter(
        journal, host=lambda: HostSample(1.0, 2, 1, {}), running=lambda: 0, waiting=lambda: 0, interval=1000
    )
    heart.stop()
    heart.start()
    heart.stop()
    heart.stop()
    left = set(threading.enumerate()) - before
    assert [thread.name for thread in left if thread.name.startswith("localrun-heartbeat")] == []


def test_a_host_that_cannot_be_looked_at_stops_no_heart(journal: Journal) -> None:
    beaten = threading.Event()

    def broken() -> HostSample:
        beaten.set()
        raise OSError("no /proc")

    with HeartbeatEmitter(journal, host=broken, running=lambda: 0, waiting=lambda: 0, interval=1000):
        assert beaten.wait(60)
    (line,) = journal.read(event_type="heartbeat")
    assert line["data"] == {"error": "no /proc"}
