from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from localrun.task.lock import acquire, publish, wait_released

fork = multiprocessing.get_context("fork")


def hold(path: Path, ready: Connection) -> None:
    claim = acquire(path, new=True)
    ready.send(claim is not None)
    signal.pause()


def test_a_claimed_task_cannot_be_claimed_again(tmp_path: Path) -> None:
    claim = acquire(tmp_path / "id", new=True)
    assert claim is not None
    assert acquire(tmp_path / "id") is None
    claim.release(ended=True)


def test_a_task_that_ended_cannot_be_claimed(tmp_path: Path) -> None:
    claim = acquire(tmp_path / "id", new=True)
    assert claim is not None
    claim.release(ended=True)
    claim.release(ended=True)
    assert acquire(tmp_path / "id") is None
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_was_given_up_before_its_end_can_be_claimed(tmp_path: Path) -> None:
    first = acquire(tmp_path / "id", new=True)
    assert first is not None
    first.release(ended=False)
    second = acquire(tmp_path / "id")
    assert second is not None
    second.release(ended=True)


def test_the_claim_of_a_process_that_was_killed_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "id"
    ours, theirs = fork.Pipe()
    process = fork.Process(target=hold, args=(path, theirs))
    process.start()
    assert ours.recv()
    assert acquire(path) is None
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    wait_released(path)
    claim = acquire(path)
    assert claim is not None
    claim.release(ended=True)
    process.join()
    process.close()


def test_waiting_ends_when_the_carrier_gives_the_task_up(tmp_path: Path) -> None:
    claim = acquire(tmp_path / "id", new=True)
    assert claim is not None
    waiter = threading.Thread(target=wait_released, args=(tmp_path / "id",))
    waiter.start()
    assert waiter.is_alive()
    claim.release(ended=True)
    waiter.join(60)
    assert not waiter.is_alive()


def test_waiting_for_a_task_that_has_ended_returns_at_once(tmp_path: Path) -> None:
    wait_released(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_what_is_offered_is_claimed_by_one_and_gone_after_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    publish(f"{tmp_path}/id", f"{tmp_path}/file")
    claim = acquire(tmp_path / "id")
    assert claim is not None
    assert acquire(tmp_path / "id") is None
    claim.release(ended=True)
    assert acquire(tmp_path / "id") is None
    assert (tmp_path / "file").read_text() == "kept"


def test_a_file_system_without_second_names_is_offered_a_file(tmp_path: Path) -> None:
    publish(f"{tmp_path}/id", f"{tmp_path}/gone")
    claim = acquire(tmp_path / "id")
    assert claim is not None
    claim.release(ended=True)
    assert list(tmp_path.iterdir()) == []
