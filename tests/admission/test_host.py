"""Samples of the host: the real machine, each file system once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localrun.admission import Disk, HostSample, sample_host
from localrun.admission.host import mount_point


def test_a_sample_tells_memory_and_disk_of_this_machine(tmp_path: Path) -> None:
    found = sample_host([tmp_path])
    stat = os.statvfs(tmp_path)
    (disk,) = found.disks.values()
    assert 0 < found.memory_available <= found.memory_total
    assert 0 <= found.memory_percent <= 100
    assert disk.total == stat.f_blocks * stat.f_frsize
    assert 0 <= disk.percent <= 100


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
