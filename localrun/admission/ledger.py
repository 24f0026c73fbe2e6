"""The ledger of reservations: a file that all localrun processes of a user share.

Every change is made under a lock and replaces the whole file. It is not synced to the disk, since it is
worthless after a reboot. The lock is `flock`, which the kernel releases when its holder dies. (`filelock`
does the same but takes 25 ms to import, a tenth of the time of a small task.) The ledgers of other users are
only read; see `users.py`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from localrun import fs
from localrun.admission.entry import LedgerEntry, live_entries, parse_entries
from localrun.admission.users import entries_of_others, is_machine_ledger, read_file
from localrun.errors import AdmissionError, Cause
from localrun.task.process import current_process
from localrun.task.record import Resources

_LOCK_NOTICE = 1.0  # seconds that a process waits for the lock before it says so


class LedgerTxn:
    """A transaction: the entries while the ledger is locked, and those of other users."""

    def __init__(self, entries: dict[str, LedgerEntry], others: list[LedgerEntry] | None = None) -> None:
        self.entries = entries
        self.others = others or []

    @property
    def all(self) -> list[LedgerEntry]:
        """The entries of all users."""
        return [*self.entries.values(), *self.others]

    def new_entry(self, task_id: str, requested: Resources) -> LedgerEntry:
        """Return a new entry at the end of the queue, which is not added yet.

        Tickets come from the clock that all processes share, so the order of arrival survives even the
        loss of the ledger.
        """
        last = max((entry.ticket for entry in self.all), default=0)
        return LedgerEntry(
            task_id=task_id,
            ticket=max(last + 1, time.monotonic_ns()),
            admitted=False,
            owner=current_process(),
            since=time.time(),
            **requested.as_dict(),
        )

    def put(self, entry: LedgerEntry) -> None:
        self.entries[entry.task_id] = entry

    def find_own(self, task_id: str) -> LedgerEntry | None:
        """Return the entry of a task that this process owns."""
        entry = self.entries.get(task_id)
        return entry if entry is not None and entry.owner == current_process() else None

    def remove(self, task_id: str) -> None:
        """Remove the entry of a task if this process owns it."""
        if self.find_own(task_id):
            del self.entries[task_id]


class Ledger:
    """The ledger file. Raises `AdmissionError` if it cannot be read or written.

    `on_damaged` is called with a message if the file was corrupt.
    """

    def __init__(self, path: Path, on_damaged: Callable[[str], None]) -> None:
        self.path = path
        self._on_damaged = on_damaged
        self.is_shared = is_machine_ledger(path)  # counted by all users; any other ledger is private

    @contextmanager
    def transaction(self, on_locked: Callable[[str], None] = lambda _reason: None) -> Iterator[LedgerTxn]:
        """Lock the ledger for changes. Entries of dead processes are removed first.

        `on_locked` is called with the reason if another process holds the lock for more than a second.
        """
        with self._wrap_errors(), self._folder() as folder, self._locked(folder, on_locked):
            before = self._read(folder)
            txn = LedgerTxn(live_entries(before), self.read_others())
            yield txn
            if txn.entries != before:
                self._write(folder, txn.entries)

    def read(self) -> dict[str, LedgerEntry]:
        """Return the entries of live processes of all users, without locking the ledger.

        The key is the task id, or `UID:ID` for a task of another user with an id that this user has, too.
        """
        found = live_entries(self._read_unlocked())
        for entry in self.read_others():
            found[f"{entry.uid}:{entry.task_id}" if entry.task_id in found else entry.task_id] = entry
        return found

    def read_others(self) -> list[LedgerEntry]:
        """Return the live entries of other users, and of localrun 0.1.0."""
        if not self.is_shared:
            return []
        with self._wrap_errors():
            return entries_of_others(self.path)

    def stale_entries(self) -> list[LedgerEntry]:
        """Return the entries of dead processes, which the next transaction removes."""
        found = self._read_unlocked()
        live = live_entries(found)
        return [entry for task_id, entry in found.items() if task_id not in live]

    def _read_unlocked(self) -> dict[str, LedgerEntry]:
        if not self.path.parent.is_dir():
            return {}
        with self._wrap_errors(), self._folder() as folder:
            return self._read(folder)

    @contextmanager
    def _wrap_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = fs.is_disk_full(error)
            raise AdmissionError(
                f"cannot access the reservation file {self.path}: {error.strerror}",
                remedy="free disk space there" if full else f"make {self.path.parent} writable, or delete it",
                cause=Cause.DISK_UNAVAILABLE if full else Cause.INTERNAL,
                path=str(self.path),
            ) from error

    @contextmanager
    def _folder(self) -> Iterator[int]:
        """Open the folder. A link is refused: another user may have created it in a shared location."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            folder = os.open(self.path.parent, flags)
        except FileNotFoundError:
            self._make_folder()
            folder = os.open(self.path.parent, flags)
        try:
            yield folder
        finally:
            os.close(folder)

    def _make_folder(self) -> None:
        self.path.parent.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self.path.parent.mkdir(mode=0o755)
            if self.is_shared:
                self.path.parent.chmod(0o755)  # whatever the umask: other users count the entries

    @contextmanager
    def _locked(self, folder: int, on_locked: Callable[[str], None]) -> Iterator[None]:
        # only this user can open the file, so no other user can hold the lock
        stream = self._open(folder, f"{self.path.name}.lock", os.O_RDONLY | os.O_CREAT)
        if not fs.try_lock(stream):
            notice = threading.Timer(_LOCK_NOTICE, on_locked, (f"waiting for the lock of {self.path}",))
            with suppress(RuntimeError, MemoryError):  # too many threads for a notice
                notice.start()
            try:
                fs.lock(stream)
            finally:
                notice.cancel()
        with fs.locked(stream):
            yield

    def _read(self, folder: int) -> dict[str, LedgerEntry]:
        try:
            _, text = read_file(self.path.name, folder)
        except FileNotFoundError:
            return {}
        return self._parse(text)

    def _parse(self, text: bytes) -> dict[str, LedgerEntry]:
        """Return the entries; none if the file is corrupt, since each live process adds its own again."""
        try:
            return parse_entries(text)
        except (ValueError, RecursionError) as error:
            self._on_damaged(f"the reservation file {self.path} was corrupt and is recreated: {error}")
            return {}

    def _write(self, folder: int, entries: dict[str, LedgerEntry]) -> None:
        text = msgspec.json.encode(entries)
        temp = fs.temp_path(self.path.name)
        try:
            with os.fdopen(self._open(folder, temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                file.write(text)
                if self.is_shared:
                    os.fchmod(file.fileno(), 0o644)  # other users read it, but cannot lock or change it
            os.replace(temp, self.path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temp, dir_fd=folder)
            raise

    def _open(self, folder: int, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=folder)
