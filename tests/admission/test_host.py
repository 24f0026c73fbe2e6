"""Samples of the host: the real machine, each file system once."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from localrun.admission import Disk, HostSample, sample_host
from localrun.admission.host import _CpuTimes, mount_point
from tests.support.waiting import until


def test_a_sample_tells_memory_and_disk_of_this_machine(tmp_path: Path) -> None:
    found = sample_host([tmp_path])
    stat = os.statvfs(tmp_path)
    (disk,) = found.disks.values()
    assert 0 < found.memory_available <= found.memory_total
    assert 0 <= found.memory_percent <= 100
    assert disk.total == stat.f_blocks * stat.f_frsize
    assert 0 <= disk.percent <= 100


def test_a_sample_is_that_of_psutil(tmp_path: Path) -> None:
    def is_equal() -> bool:  # except while another process takes or frees much of both
        found, memory = sample_host([tmp_path]), psutil.virtual_memory()
        ((point, disk),) = found.disks.items()
        assert found.memory_total == memory.total
        assert disk._asdict().keys() == psutil.disk_usage(point)._asdict().keys()
        return bool(
            found.memory_available == pytest.approx(memory.available, rel=0.2)
            and disk.percent == pytest.approx(psutil.disk_usage(point).percent, abs=2)
        )

    until(is_equal)


def test_cpu_time_is_counted_between_two_samples(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    times = _CpuTimes(stat)
    stat.write_text("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3\n")  # user includes the time of guests
    assert times.percent() == 20.0
    stat.write_text("cpu  160 0 100 740 100 0 0 0 50 0\n")
    assert times.percent() == 60.0
    assert times.percent() == 0.0


def test_another_system_is_sampled_with_psutil(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("localrun.admission.host._MEMORY", tmp_path / "missing")
    found = sample_host([tmp_path])
    assert found.memory_total == psutil.virtual_memory().total


def test_paths_of_one_file_system_are_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert list(sample_host([tmp_path, tmp_path / "a"]).disks) == [mount_point(tmp_path)]


def test_a_path_that_is_not_there_yet_stands_for_the_folder_above(tmp_path: Path) -> None:
    assert mount_point(tmp_path / "not" / "yet") == mount_point(tmp_path)


def test_a_link_is_followed_to_the_disk_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    assert mount_point(tmp_path / "link") == "/proc"


def test_memory_percent_counts_what_is_not_available() -> None:
    found = HostSample(0.0, 200, 50, {"/": Disk(1, 2, 1, 50.0)})
    assert found.memory_percent == pytest.approx(75.0)
