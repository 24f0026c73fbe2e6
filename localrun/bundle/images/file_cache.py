"""What is known of files that were looked into: small JSON notes that may be lost at any time.

A note belongs to one state of one file (device, inode, size, times), so a file that was written to since
is simply unknown. A note that cannot be read or written costs time and nothing else.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localrun import fs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORMAT = 1  # of the notes; a note of another format is unknown
ENTRY_SIZE_LIMIT = 4 << 20  # bytes
ENTRY_LIMIT = 256  # notes of one kind
TIMESTAMP_RESOLUTION = (
    20_000_000  # nanoseconds: two writes that are closer may leave the same times on a file
)
POLL_INTERVAL = 0.25  # seconds between two looks at whether the caller still wants to wait for a lock


def file_state(status: os.stat_result) -> list[int]:
    """What changes when a file changes."""
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def load_facts(folder: Path, kind: str, status: os.stat_result) -> dict[str, Any] | None:
    """Give back what was noted of a file in this very state."""
    note = read_entry(folder, kind, _name(status))
    facts = note.get("facts") if note and note.get("state") == file_state(status) else None
    return facts if isinstance(facts, dict) else None


def save_facts(folder: Path, kind: str, status: os.stat_result, facts: dict[str, Any]) -> None:
    """Note something of a file, `status` being its state before it was read.

    A file so fresh that a further write might not show in its times is not noted.
    """
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > TIMESTAMP_RESOLUTION:
        write_entry(folder, kind, _name(status), {"state": file_state(status), "facts": facts})


def read_entry(folder: Path, kind: str, name: str) -> dict[str, Any] | None:
    """Read a note; None when there is none that can be trusted."""
    try:
        with _path(folder, kind, name).open("rb") as file:
            note = json.loads(file.read(ENTRY_SIZE_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    return note if isinstance(note, dict) and note.get("format") == FORMAT else None


def write_entry(folder: Path, kind: str, name: str, note: dict[str, Any]) -> None:
    """Write a note at once or not at all; a cache that cannot be written is no error."""
    path = _path(folder, kind, name)
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with fs.atomic_file(path) as temp:
            temp.write_text(json.dumps({"format": FORMAT, **note}))
        _forget_oldest(path.parent)


@contextmanager
def lock(folder: Path, key: str, check_cancelled: Callable[[], None]) -> Iterator[None]:
    """Let one process (and thread) at a time do the work that `key` names.

    Keys share a bounded number of lock files, so nobody may hold two. A folder that cannot be written
    leaves the work unlocked: done twice is better than not done.
    """
    import zlib

    from filelock import FileLock, Timeout

    path = folder / "locks" / f"{zlib.crc32(key.encode()) & 0xFF:02x}.lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch()
    except OSError:
        yield
        return
    held = FileLock(path)
    while not held.is_locked:
        check_cancelled()
        with suppress(Timeout):
            held.acquire(timeout=POLL_INTERVAL)
    try:
        yield
    finally:
        held.release()


def _path(folder: Path, kind: str, name: str) -> Path:
    return folder / kind / f"{name}.json"


def _name(status: os.stat_result) -> str:
    return f"{status.st_dev:x}-{status.st_ino:x}"


def _forget_oldest(folder: Path) -> None:
    notes = list(folder.iterdir())
    if len(notes) > ENTRY_LIMIT:
        notes.sort(key=lambda note: note.stat().st_mtime_ns)
        for note in notes[: len(notes) - ENTRY_LIMIT]:
            note.unlink(missing_ok=True)
