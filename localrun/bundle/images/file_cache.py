"""Cache facts about inspected files as small JSON entries.

An entry applies to one state of one file (device, inode, size, times), so a changed file has no entry. All
entries may be deleted at any time; an entry that cannot be read or written costs only time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from localrun import fs

CancelCheck = Callable[[], None]  # called often; raises to cancel
OnLock = Callable[[float], None]  # receives the seconds of a wait for another process
FORMAT = 3  # entries of another format are ignored
ENTRY_SIZE_LIMIT = 4 << 20  # bytes
ENTRY_LIMIT = 256  # entries of one kind
TIMESTAMP_RESOLUTION = 20_000_000  # nanoseconds; two writes within this time may leave the same file times
POLL_INTERVAL = 0.25  # seconds between two checks for cancellation while waiting for a lock


def ignore_wait(_seconds: float) -> None:
    """Ignore a wait (default `OnLock`)."""


def file_state(status: os.stat_result) -> list[int]:
    """Return the values that change when a file changes."""
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def load_facts(folder: Path, kind: str, status: os.stat_result) -> dict[str, Any] | None:
    """Return the facts about a file in this state, or None."""
    entry = read_entry(folder, kind, _name(status))
    facts = entry.get("facts") if entry and entry.get("state") == file_state(status) else None
    return facts if isinstance(facts, dict) else None


def save_facts(folder: Path, kind: str, status: os.stat_result, facts: dict[str, Any]) -> None:
    """Save facts about a file; `status` is its state before it was read.

    Facts about a file that was just written are not saved, because its times may miss a further write.
    """
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > TIMESTAMP_RESOLUTION:
        write_entry(folder, kind, _name(status), {"state": file_state(status), "facts": facts})


def read_entry(folder: Path, kind: str, name: str, *, limit: int = ENTRY_SIZE_LIMIT) -> dict[str, Any] | None:
    """Return an entry of at most `limit` bytes, or None if there is no valid one."""
    try:
        with fs.open_regular(_path(folder, kind, name)) as file:
            entry = json.loads(file.read(limit))
    except (OSError, ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and entry.get("format") == FORMAT else None


def write_entry(
    folder: Path, kind: str, name: str, entry: dict[str, Any], *, most: int | None = None
) -> None:
    """Write an entry atomically, and delete all but the newest `most` of its kind (`ENTRY_LIMIT`).

    Errors are ignored.
    """
    path = _path(folder, kind, name)
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with fs.atomic_file(path) as temp:
            temp.write_text(json.dumps({"format": FORMAT, **entry}))
        _delete_oldest(path.parent, ENTRY_LIMIT if most is None else most)


@contextmanager
def lock(
    folder: Path, key: str, check_cancelled: CancelCheck, on_lock: OnLock = ignore_wait
) -> Iterator[None]:
    """Hold the lock for `key`, which one process and thread at a time can own.

    `on_lock` receives the seconds of a wait for it, after the wait.

    Keys share a bounded number of lock files, so a caller must not hold two locks. If the folder cannot be
    written, the block runs without a lock: work done twice is better than work not done.
    """
    import zlib

    from filelock import FileLock, Timeout

    path = folder / "locks" / f"{zlib.crc32(os.fsencode(key)) & 0xFF:02x}.lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch()
    except OSError:
        yield
        return
    held = FileLock(path)
    begun, waits = time.perf_counter(), False
    while not held.is_locked:
        check_cancelled()
        try:
            held.acquire(timeout=POLL_INTERVAL if waits else 0)
        except Timeout:
            waits = True
    try:
        if waits:
            on_lock(time.perf_counter() - begun)
        yield
    finally:
        held.release()


def _path(folder: Path, kind: str, name: str) -> Path:
    return folder / kind / f"{name}.json"


def _name(status: os.stat_result) -> str:
    return f"{status.st_dev:x}-{status.st_ino:x}"


def _delete_oldest(folder: Path, most: int) -> None:
    entries = list(folder.iterdir())
    if len(entries) > most:
        entries.sort(key=lambda entry: entry.stat().st_mtime_ns)
        for entry in entries[: len(entries) - most]:
            entry.unlink(missing_ok=True)
