from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localrun.engines.base import Usage
from localrun.engines.dockerd.cgroups import ControlGroups

ID = "0123456789abcdef" * 4
V1 = {
    "memory": {
        "memory.usage_in_bytes": "5000\n",
        "memory.max_usage_in_bytes": "9000\n",
        "memory.stat": "cache 10\ninactive_file 1\ntotal_inactive_file 2000\n",
    },
    "cpuacct": {"cpuacct.usage": "1500000000\n"},
    "pids": {"pids.current": "3\n"},
    "blkio": {
        "blkio.throttle.io_service_bytes_recursive": (
            "8:0 Read 100\n8:0 Write 20\n8:0 Sync 120\n8:16 Read 5\n8:16 Write 7\nTotal 132\n"
        )
    },
}
V2 = {
    "memory.current": "5000\n",
    "memory.peak": "9000\n",
    "memory.stat": "anon 10\ninactive_file 2000\n",
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    "pids.current": "3\n",
    "io.stat": "8:0 rbytes=100 wbytes=20 rios=1 wios=1\n8:16 rbytes=5 wbytes=7 rios=1 wios=1\n",
}
FOUND = Usage(1.5, 3000, 9000, 105, 27, 3)


def write(root: Path, place: str, version: int) -> Path:
    """Write the control group of a container; return the folder with its memory."""
    parts = {f"{name}/{place}": files for name, files in V1.items()} if version == 1 else {place: V2}
    for folder, files in parts.items():
        (root / folder).mkdir(parents=True)
        for name, text in files.items():
            (root / folder / name).write_text(text)
    return root / ("memory" if version == 1 else "") / place


def no_pid(_: str) -> int:
    raise AssertionError("must not be asked")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "place",
    [
        f"docker/{ID}",
        f"system.slice/docker-{ID}.scope",
        f"libpod_parent/libpod-{ID}",
        f"machine.slice/libpod-{ID}.scope",
        f"user.slice/user-UID.slice/user@UID.service/user.slice/libpod-{ID}.scope",
    ],
)
def test_the_control_group_of_a_container_is_found_without_a_request(
    tmp_path: Path, place: str, version: int
) -> None:
    write(tmp_path, place.replace("UID", str(os.getuid())), version)
    groups = ControlGroups(no_pid, tmp_path)
    assert groups.measure(ID) == FOUND
    assert groups.measure("f" * 64) is None  # another container, which has ended


def test_older_kernels_have_no_peak_and_a_group_may_lack_the_controller_of_the_disk(tmp_path: Path) -> None:
    folder = write(tmp_path, f"docker/{ID}", 2)
    (folder / "memory.peak").unlink()
    (folder / "io.stat").unlink()
    assert ControlGroups(no_pid, tmp_path).measure(ID) == Usage(1.5, 3000, None, 0, 0, 3)


def test_a_group_that_vanishes_while_it_is_read_is_that_of_an_ended_container(tmp_path: Path) -> None:
    folder = write(tmp_path, f"docker/{ID}", 1)
    groups = ControlGroups(no_pid, tmp_path)
    assert groups.measure(ID) is not None
    (folder / "memory.stat").write_text("")
    assert groups.measure(ID) is None


def test_a_container_at_another_place_is_found_by_its_process(tmp_path: Path) -> None:
    asked: list[str] = []

    def find_pid(handle: str) -> int:
        asked.append(handle)
        return 77

    write(tmp_path, f"kube/pod/{ID}", 2)
    (tmp_path / "proc/77").mkdir(parents=True)
    (tmp_path / "proc/77/cgroup").write_text(f"0::/kube/pod/{ID}/container\n")
    groups = ControlGroups(find_pid, tmp_path, tmp_path / "proc")
    assert (groups.measure(ID), groups.measure(ID), asked) == (FOUND, FOUND, [ID])


def test_the_process_of_another_machine_is_not_measured(tmp_path: Path) -> None:
    asked: list[str] = []

    def own_pid(handle: str) -> int:
        asked.append(handle)
        return os.getpid()

    groups = ControlGroups(own_pid, tmp_path)
    assert [groups.measure(ID) for _ in range(9)] == [None] * 9
    assert len(asked) == 3  # then it is not asked any more
    assert ControlGroups(lambda _: 0, tmp_path).measure(ID) is None
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert ControlGroups(lambda _: ended.pid, tmp_path).measure(ID) is None
