"""Process identity: a process is recognized, and no other process is mistaken for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from localrun.task.process import current_process, is_alive, is_foreign
from localrun.task.record import ProcessId

WAITS = """
import sys
from localrun.task.process import current_process
print(current_process().to_json().decode(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def owner_of(process: subprocess.Popen[str]) -> ProcessId:
    assert process.stdout is not None
    return ProcessId.from_json(process.stdout.readline().encode())


def test_current_process_is_alive_and_the_same_at_every_look() -> None:
    assert current_process() == current_process()
    assert current_process().pid == os.getpid()
    assert is_alive(current_process())


def test_an_owner_survives_being_written_to_disk() -> None:
    assert is_alive(ProcessId.from_json(current_process().to_json()))


def test_another_process_is_alive_until_it_is_killed(child: subprocess.Popen[str]) -> None:
    owner = owner_of(child)
    assert is_alive(owner)
    child.kill()
    child.wait()
    assert not is_alive(owner)


def test_a_zombie_is_not_alive(child: subprocess.Popen[str]) -> None:
    owner = owner_of(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped yet
    assert not is_alive(owner)


def test_a_pid_that_was_given_to_another_process_is_not_alive() -> None:
    assert not is_alive(current_process().replace(started=current_process().started - 1))


@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**70])
def test_a_pid_that_no_process_can_have_is_not_alive(pid: int) -> None:
    assert not is_alive(current_process().replace(pid=pid))


def test_nothing_of_this_machine_survives_its_reboot() -> None:
    before = current_process().replace(boot="an-earlier-boot/1")
    assert not is_alive(before)


def test_a_process_of_another_machine_is_assumed_to_live() -> None:
    other = ProcessId(host="elsewhere", pid=1, started=0.0, boot="its-boot/1")
    assert is_alive(other)
    assert is_foreign(other)


def test_a_process_of_another_container_here_is_assumed_to_live() -> None:
    boot = current_process().boot.partition("/")[0]
    other = ProcessId(host="container", pid=2**22 + 1, started=0.0, boot=f"{boot}/1")
    assert is_alive(other)
    assert is_foreign(other)


def test_a_renamed_machine_still_knows_its_processes() -> None:
    assert is_alive(current_process().replace(host="old-name"))
    assert not is_alive(current_process().replace(host="old-name", started=0.5))


def test_a_process_of_another_user_is_seen() -> None:
    init = current_process().replace(pid=1, started=_start_of(1))
    assert is_alive(init)


def _start_of(pid: int) -> float:
    from localrun.task.process import _stat

    found = _stat(pid)
    assert found is not None
    return found[0]
