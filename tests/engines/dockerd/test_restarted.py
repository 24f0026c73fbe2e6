"""An engine that stopped a container for its shutdown is recognised, also if it has restarted since."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.base import Exit
from localrun.engines.dockerd import DockerEngine
from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.connections import engine_pid

HANDLE = "a" * 64


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[str]:
    """The address of an engine that only accepts connections."""
    path = tmp_path / "e.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        yield f"unix://{path}"


def test_the_process_of_an_engine_is_that_of_its_socket(listening: str, tmp_path: Path) -> None:
    found = {
        url: engine_pid(Address(url))
        for url in (listening, f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:1")
    }
    assert list(found.values()) == [os.getpid(), None, None]


@pytest.mark.parametrize(("code", "is_stopped"), [(143, True), (137, True), (1, False), (0, False)])
def test_an_exit_by_a_signal_before_a_restart_is_that_of_the_shutdown(
    listening: str, code: int, is_stopped: bool
) -> None:
    engine = DockerEngine(listening)
    engine._waited_for[HANDLE] = os.getpid() + 1  # the process before the restart
    assert engine.is_stopped_by_shutdown(HANDLE, Exit(code, started=1.0, finished=2.0)) is is_stopped
    engine.close()


def test_a_restart_is_noticed_once(listening: str) -> None:
    engine = DockerEngine(listening)
    engine._waited_for[HANDLE] = os.getpid() + 1
    assert [engine._has_restarted(HANDLE), engine._has_restarted(HANDLE)] == [True, False]
    engine.close()


def test_an_answer_of_the_restarted_engine_without_the_event_is_no_proof(
    listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an engine that ends during the look at its events, and is back when they are read
    engine = DockerEngine(listening)
    engine._waited_for[HANDLE] = os.getpid()

    def read_events(*_: object) -> bool:
        engine._waited_for[HANDLE] = os.getpid() + 1
        return False

    monkeypatch.setattr("localrun.engines.dockerd.shutdown.is_stopping", lambda *_, **__: True)
    monkeypatch.setattr("localrun.engines.dockerd.shutdown.was_signalled", read_events)

    # Then the exit by a signal is that of the shutdown
    assert engine.is_stopped_by_shutdown(HANDLE, Exit(143, started=1.0, finished=2.0))
    engine.close()
