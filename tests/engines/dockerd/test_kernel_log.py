from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from localrun.engines.base import ContainerSpec
from localrun.engines.dockerd import DockerEngine, kernel_log
from localrun.engines.dockerd.answers import exit_of
from localrun.engines.dockerd.kernel_log import MemoryKills

ID = "2b67961e70e35fe6b827a0fd163142ddc8fc641df49e2c6cb0120d64e82e4bc9"
PARTS = "nodemask=(null),cpuset={id},mems_allowed=0"
KILLED = (
    f"6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={ID},mems_allowed=0,"
    "oom_memcg={group},task_memcg={group},task=sh,pid=22328,uid=0\n"
)
STATE = {
    "ExitCode": 137,
    "OOMKilled": False,
    "Error": "",
    "StartedAt": "2026-01-01T10:00:00Z",
    "FinishedAt": "2026-01-01T10:00:01Z",
}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel log of one record."""
    path = tmp_path / "kmsg"
    (tmp_path / "vmstat").write_text("nr_free_pages 7\noom_kill 12\n")
    monkeypatch.setattr(kernel_log, "_LOG", path)
    monkeypatch.setattr(kernel_log, "_COUNTERS", tmp_path / "vmstat")
    lost = [True]

    def read(descriptor: int, size: int) -> bytes:
        if lost and lost.pop():
            raise BrokenPipeError
        data = real(descriptor, size)
        if not data:
            raise BlockingIOError
        return data

    real = os.read
    monkeypatch.setattr(os, "read", read)
    return path


@pytest.mark.parametrize(
    "group",
    [f"/docker/{ID}", f"/system.slice/docker-{ID}.scope", f"/machine.slice/libpod-{ID}.scope/container"],
)
def test_a_container_that_exceeded_its_memory_limit_is_known_to_the_kernel(log: Path, group: str) -> None:
    log.write_text(KILLED.format(group=group))
    assert MemoryKills().include(ID)
    assert exit_of(STATE, ID, MemoryKills()).oom_killed


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(KILLED.format(group="/docker/" + "0" * 64), id="another container"),
        pytest.param(KILLED.format(group="/user.slice"), id="a limit above the container"),
        pytest.param(
            f"6,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,global_oom,task_memcg=/docker/{ID},task=sh\n",
            id="the machine was full",
        ),
        pytest.param(f"6,1,2,-;docker: started {ID}\n", id="another message"),
    ],
)
def test_other_kills_are_not_those_of_the_container(log: Path, record: str) -> None:
    log.write_text(record)
    assert not MemoryKills().include(ID)
    assert not exit_of(STATE, ID, MemoryKills()).oom_killed


def test_the_log_is_not_read_if_the_kernel_killed_nothing(log: Path, tmp_path: Path) -> None:
    log.write_text(KILLED.format(group=f"/docker/{ID}"))
    (tmp_path / "vmstat").write_text("oom_kill 0\n")
    assert not MemoryKills().include(ID)


def test_the_log_is_not_read_if_the_kernel_killed_nothing_since_the_start(log: Path, tmp_path: Path) -> None:
    kills = MemoryKills()
    kills.note_start(ID)
    assert not kills.include(ID)  # the log is missing, and cannot have been read
    log.write_text(KILLED.format(group=f"/docker/{ID}"))
    assert not kills.include(ID)
    (tmp_path / "vmstat").write_text("oom_kill 13\n")
    assert kills.include(ID)


def test_the_whole_log_is_read_for_a_container_that_another_process_started(log: Path) -> None:
    kills = MemoryKills()
    kills.note_start("another")
    log.write_text(KILLED.format(group=f"/docker/{ID}"))
    assert kills.include(ID)
    kills.note_start(ID)
    kills.forget(ID)
    assert kills.include(ID)


def test_nothing_is_known_without_the_log(log: Path, tmp_path: Path) -> None:
    assert not MemoryKills().include(ID)
    (tmp_path / "vmstat").unlink()
    assert not MemoryKills().include(ID)


@pytest.mark.docker
@pytest.mark.skipif(not os.access("/dev/kmsg", os.R_OK), reason="the kernel's log is not readable")
def test_the_kernel_logs_the_container_that_exceeded_its_limit(
    docker_engine: DockerEngine, busybox: str
) -> None:
    script = "x=aaaaaaaa; while :; do x=$x$x; done"
    name = f"localrun-test-{secrets.token_hex(6)}"
    spec = ContainerSpec(busybox, name, entrypoint=(), command=("sh", "-c", script), memory=16 * 1024**2)
    handle = docker_engine.create(spec)
    try:
        docker_engine.start(handle)
        assert docker_engine.wait(handle).oom_killed
        assert MemoryKills().include(handle)
    finally:
        docker_engine.remove(handle)
