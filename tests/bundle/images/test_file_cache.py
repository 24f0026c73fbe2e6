"""Cached facts about files: valid only for one state of a file, and never required."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from localrun.bundle.images import file_cache
from localrun.errors import TaskKilled


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("content")
    os.utime(path, (1, 1))
    return path


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_cache, "TIMESTAMP_RESOLUTION", 0)  # treat new files as old


def never() -> None:
    pass


def test_what_was_noted_is_recalled_while_the_file_stays_as_it_was(cache: Path, file: Path) -> None:
    file_cache.save_facts(cache, "kind", file.stat(), {"a": 1})
    assert file_cache.load_facts(cache, "kind", file.stat()) == {"a": 1}
    assert file_cache.load_facts(cache, "other", file.stat()) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("changed"),  # of the same size
        lambda path: os.utime(path, (2, 2)),
        lambda path: path.write_text("longer content"),
    ],
)
def test_a_file_that_was_written_to_is_unknown(
    cache: Path, file: Path, change: Callable[[Path], object]
) -> None:
    file_cache.save_facts(cache, "kind", file.stat(), {"a": 1})
    change(file)
    assert file_cache.load_facts(cache, "kind", file.stat()) is None


def test_another_file_in_its_place_with_its_times_is_unknown(cache: Path, file: Path, tmp_path: Path) -> None:
    file_cache.save_facts(cache, "kind", file.stat(), {"a": 1})
    other = tmp_path / "other"
    other.write_text("CONTENT")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert file_cache.load_facts(cache, "kind", file.stat()) is None


def test_a_file_so_fresh_that_a_write_might_not_show_is_not_noted(
    cache: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_cache, "TIMESTAMP_RESOLUTION", 10**18)
    file_cache.save_facts(cache, "kind", file.stat(), {"a": 1})
    assert file_cache.load_facts(cache, "kind", file.stat()) is None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"format": 0}', b"\xff\xfe", b'{"format": 1, "state": []}']
)
def test_a_damaged_note_is_ignored_and_written_anew(cache: Path, file: Path, damage: bytes) -> None:
    file_cache.save_facts(cache, "kind", file.stat(), {"a": 1})
    next((cache / "kind").iterdir()).write_bytes(damage)
    assert file_cache.load_facts(cache, "kind", file.stat()) is None
    file_cache.save_facts(cache, "kind", file.stat(), {"a": 2})
    assert file_cache.load_facts(cache, "kind", file.stat()) == {"a": 2}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, file: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    file_cache.save_facts(blocked, "kind", file.stat(), {"a": 1})
    assert file_cache.load_facts(blocked, "kind", file.stat()) is None
    with file_cache.lock(blocked, "key", never):
        pass
    assert blocked.read_text() == "a file where a folder should be"


def test_only_so_many_notes_are_kept_and_the_newest_survive(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_cache, "ENTRY_LIMIT", 3)
    for number in range(6):
        file_cache.write_entry(cache, "kind", str(number), {})
        os.utime(cache / "kind" / f"{number}.json", (number, number))
    assert sorted(path.stem for path in (cache / "kind").iterdir()) == ["3", "4", "5"]


def test_notes_leave_no_drafts(cache: Path, file: Path) -> None:
    file_cache.save_facts(cache, "kind", file.stat(), {"a": 1})
    assert [path.suffix for path in (cache / "kind").iterdir()] == [".json"]


def test_a_lock_lets_one_in_at_a_time(cache: Path) -> None:
    inside, entered, order = threading.Event(), threading.Event(), []

    def second() -> None:
        inside.wait()
        entered.set()
        with file_cache.lock(cache, "key", never):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with file_cache.lock(cache, "key", never):
        inside.set()
        entered.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_waiting_for_a_lock_can_be_given_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_cache, "POLL_INTERVAL", 0.01)
    calls = iter(range(10))

    def check() -> None:
        if next(calls) == 2:
            raise TaskKilled("enough")

    with (
        file_cache.lock(cache, "key", never),
        pytest.raises(TaskKilled),
        file_cache.lock(cache, "key", check),
    ):
        pytest.fail("two are inside")
    with file_cache.lock(cache, "key", never):
        pass


def test_the_key_of_a_lock_may_be_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    with file_cache.lock(tmp_path, "/t\udce9", lambda: None):
        assert len(list((tmp_path / "locks").iterdir())) == 1


def test_a_wait_for_a_lock_is_measured(cache: Path) -> None:
    waits: list[float] = []
    tried, thread_done = threading.Event(), threading.Event()
    tries = iter(range(1000))

    def check() -> None:
        if next(tries):  # the second check follows the first attempt, which has failed
            tried.set()

    def second() -> None:
        with file_cache.lock(cache, "key", check, waits.append):
            thread_done.set()

    thread = threading.Thread(target=second)
    with file_cache.lock(cache, "key", never, waits.append):
        thread.start()
        assert tried.wait(30)
    thread.join()
    assert thread_done.is_set()
    assert len(waits) == 1  # of the second only
    assert waits[0] > 0
