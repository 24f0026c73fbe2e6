"""Build clients end with the call that started them, and leave no process behind."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from localrun.engines.dockerd.builders import process as module
from localrun.engines.dockerd.builders.process import Processes

CHILDREN = ["sh", "-c", "sleep 60 & echo $! $$; wait"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo $$; while true; do sleep 0.1; done"]


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_output_of_both_streams_is_read() -> None:
    with Processes().start(["sh", "-c", "echo one; echo two >&2; printf '\\377'"]) as process:
        assert process.stdout is not None
        assert process.stdout.read() == "one\ntwo\n\ufffd"


def test_an_exception_ends_the_client_and_its_children() -> None:
    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt), Processes().start(CHILDREN) as process:  # noqa: PT012
        assert process.stdout is not None
        pids += map(int, process.stdout.readline().split())
        raise KeyboardInterrupt
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


def test_a_client_that_ignores_the_signal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    with pytest.raises(ValueError, match="stop"), Processes().start(STUBBORN) as process:  # noqa: PT012
        assert process.stdout is not None
        process.stdout.readline()
        raise ValueError("stop")
    assert process.returncode == -9


def test_another_thread_can_end_the_client_of_a_thread() -> None:
    processes, started, ended = Processes(), threading.Event(), []

    def build() -> None:
        with processes.start(CHILDREN) as process:
            assert process.stdout is not None
            process.stdout.readline()
            started.set()
            process.wait()
            ended.append(processes.was_abandoned())

    thread = threading.Thread(target=build)
    thread.start()
    assert started.wait(60)
    processes.abandon(threading.get_ident())  # this thread waits for none
    assert thread.ident is not None
    processes.abandon(thread.ident)
    thread.join(60)
    assert ended == [True]


def test_the_client_has_its_own_session_so_ctrl_c_reaches_it_only_once() -> None:
    with Processes().start(["sh", "-c", "cat /proc/$$/stat"]) as process:
        assert process.stdout is not None
        session = int(process.stdout.read().rpartition(")")[2].split()[3])
    assert session not in (os.getsid(0), 0)
