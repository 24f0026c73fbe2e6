"""The ledger: shared between processes, replaced atomically, without entries of dead processes."""

from __future__ import annotations

import fcntl
import json
import os
import time
import tracemalloc
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest

from localrun.admission import LedgerEntry
from localrun.admission.ledger import Ledger
from localrun.errors import AdmissionError
from localrun.task.process import current_process
from localrun.task.record import ProcessId, Resources


@pytest.fixture
def damages() -> list[str]:
    return []


@pytest.fixture
def ledger(tmp_path: Path, damages: list[str]) -> Ledger:
    return Ledger(tmp_path / "state" / "ledger.json", damages.append)


def add(ledger: Ledger, task_id: str, **changes: Any) -> LedgerEntry:
    with ledger.transaction() as table:
        entry = table.new_entry(task_id, Resources()).replace(**changes)
        table.put(entry)
    return entry


def test_what_is_written_down_is_read_back(ledger: Ledger) -> None:
    entry = add(ledger, "a")
    assert ledger.read() == {"a": entry}


def test_a_ledger_that_was_never_written_is_empty_and_looking_makes_none(ledger: Ledger) -> None:
    assert ledger.read() == {}
    assert not ledger.path.parent.exists()


def test_tickets_follow_the_order_of_arrival(ledger: Ledger) -> None:
    assert add(ledger, "a").ticket < add(ledger, "b").ticket < add(ledger, "c").ticket


def test_entries_of_dead_processes_vanish(ledger: Ledger) -> None:
    add(ledger, "dead", owner=current_process().replace(started=-1.0))
    kept = add(ledger, "a")
    assert ledger.read() == {"a": kept}
    assert list(json.loads(ledger.path.read_text())) == ["a"]


def test_a_process_that_cannot_be_looked_at_is_forgotten_after_a_week(ledger: Ledger) -> None:
    elsewhere = ProcessId(host="container", pid=1, started=0.0, boot="its-own/1")
    add(ledger, "recent", owner=elsewhere)
    add(ledger, "old", owner=elsewhere, since=time.time() - 8 * 24 * 3600)
    assert list(ledger.read()) == ["recent"]


def test_an_entry_of_another_process_is_not_dropped(ledger: Ledger) -> None:
    add(ledger, "a", owner=ProcessId(host="container", pid=1, started=0.0, boot="its-own/1"))
    with ledger.transaction() as table:
        table.remove("a")
    assert list(ledger.read()) == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\x00",
        b'{"a": {"cpus": "many"}}',
        b'{"a": {"task_id": "a", "memory": -5}}',
        b'{"a": {"x": ' + b"[" * 100_000,
    ],
)
def test_a_damaged_ledger_is_made_anew_and_said_so(ledger: Ledger, damages: list[str], text: bytes) -> None:
    add(ledger, "a")
    ledger.path.write_bytes(text)
    entry = add(ledger, "b")
    assert ledger.read() == {"b": entry}
    assert "was corrupt" in damages[0]


def test_an_entry_under_the_name_of_another_is_not_believed(ledger: Ledger) -> None:
    entry = add(ledger, "a")
    ledger.path.write_text(json.dumps({"b": entry.as_dict()}))
    assert ledger.read() == {}


def test_a_pipe_in_place_of_the_ledger_does_not_block(ledger: Ledger) -> None:
    add(ledger, "a")
    ledger.path.unlink()
    os.mkfifo(ledger.path)
    add(ledger, "b")
    assert list(ledger.read()) == ["b"]


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path, damages: list[str]) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "link").symlink_to("victim")
    with pytest.raises(AdmissionError, match=r"cannot access the reservation file .*"):
        add(Ledger(tmp_path / "link" / "ledger.json", damages.append), "a")
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_link_in_place_of_the_lock_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, "a")
    (ledger.path.parent / "ledger.json.lock").unlink()
    (ledger.path.parent / "ledger.json.lock").symlink_to(tmp_path / "made-by-link")
    with pytest.raises(AdmissionError):
        add(ledger, "b")
    assert not (tmp_path / "made-by-link").exists()


def test_a_change_that_fails_leaves_the_ledger_as_it_was(ledger: Ledger) -> None:
    entry = add(ledger, "a")
    with pytest.raises(KeyError), ledger.transaction() as table:
        del table.entries["a"], table.entries["not there"]
    assert ledger.read() == {"a": entry}


def test_nothing_but_the_ledger_and_its_lock_is_on_the_disk(ledger: Ledger) -> None:
    for count in range(20):
        add(ledger, f"t{count}")
    assert {path.name for path in ledger.path.parent.iterdir()} == {"ledger.json", "ledger.json.lock"}


def test_a_private_folder_stays_private(ledger: Ledger) -> None:
    add(ledger, "a")
    assert ledger.path.stat().st_mode & 0o077 == 0
    assert ledger.path.parent.stat().st_mode & 0o002 == 0


def test_a_lock_that_is_held_for_more_than_a_second_is_reported(ledger: Ledger) -> None:
    # Given a process that holds the lock
    add(ledger, "a")
    reasons: Queue[str] = Queue()
    with (ledger.path.parent / f"{ledger.path.name}.lock").open() as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        # When another one waits for it
        def wait() -> None:
            with ledger.transaction(reasons.put):
                reasons.put("locked")

        thread = Thread(target=wait)
        thread.start()

        # Then it says so, and continues when the lock is free
        assert reasons.get(timeout=60) == f"waiting for the lock of {ledger.path}"
    assert reasons.get(timeout=60) == "locked"
    thread.join()


def test_a_read_takes_no_more_memory_than_the_file(ledger: Ledger) -> None:
    add(ledger, "a")
    tracemalloc.start()
    ledger.read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024**2
