"""The ledger of reservations: one file that all localrun processes of a machine share.

Every change is made under a lock and replaces the whole file. It is not synced to the disk, since it is
worthless after a reboot. The lock is `flock`, which the kernel releases when its holder dies. (`filelock`
does the same but takes 25 ms to import, a tenth of the time of a small task.)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import Annotated

import msgspec

from localrun import fs
from localrun.errors import AdmissionError, Cause
from localrun.task.process import current_process, is_alive, is_foreign
from localrun.task.record import Frozen, ProcessId, Resources, decoder

_MAX_SIZE = 16 * 1024**2  # bytes; some 40,000 entries; localrun writes no larger file
_FOREIGN_LIFETIME = 7 * 24 * 3600.0  # seconds until entries of processes that cannot be inspected expire


class LedgerEntry(Frozen, frozen=True, kw_only=True, rename={"wakeup": "bell", "pressures": "pressed"}):
    """A reservation (`admitted`) or a waiting task. `since` is in seconds since 1970."""

    task_id: str
    ticket: int
    admitted: bool
    owner: ProcessId
    since: float
    cpus: Annotated[float, msgspec.Meta(ge=0)]
    memory: Annotated[int, msgspec.Meta(ge=0)]
    gpus: Annotated[int, msgspec.Meta(ge=0)]
    wakeup: str = ""  # the name of its `Wakeup`
    pressures: tuple[str, ...] = ()  # the host pressures that it waits for
    reason: str = ""


def machine_ledger_path(engine: str = "local") -> Path:
    """Return the path of this machine's ledger, which all users share.

    It is in memory: a reboot deletes it, and a full disk does not matter. `engine` distinguishes machines
    when the containers run on a remote one.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the folder is checked when it is opened
    base = memory if memory.is_dir() else Path("/tmp")  # noqa: S108
    name = "".join(letter if letter.isalnum() else "-" for letter in engine)[-80:]
    return base / "localrun-ledger" / f"{name}.json"


class LedgerTxn:
    """A transaction: the entries while the ledger is locked."""

    def __init__(self, entries: dict[str, LedgerEntry]) -> None:
        self.entries = entries

    def new_entry(self, task_id: str, requested: Resources) -> LedgerEntry:
        """Return a new entry at the end of the queue, which is not added yet.

        Tickets come from the clock that all processes share, so the order of arrival survives even the
        loss of the ledger.
        """
        last = max((entry.ticket for entry in self.entries.values()), default=0)
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
        # root and the members of the docker group share one ledger; any other ledger is private
        self._shared = path.parent == machine_ledger_path().parent

    @contextmanager
    def transaction(self) -> Iterator[LedgerTxn]:
        """Lock the ledger for changes. Entries of dead processes are removed first."""
        with self._wrap_errors(), self._folder() as folder, self._locked(folder):
            before = self._read(folder)
            txn = LedgerTxn(_live_entries(before))
            yield txn
            if txn.entries != before:
                self._write(folder, txn.entries)

    def read(self) -> dict[str, LedgerEntry]:
        """Return the entries of live processes, without locking the ledger."""
        return _live_entries(self._read_unlocked())

    def stale_entries(self) -> list[LedgerEntry]:
        """Return the entries of dead processes, which the next transaction removes."""
        found = self._read_unlocked()
        live = _live_entries(found)
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
            self.path.parent.mkdir()
            if self._shared:
                self.path.parent.chmod(0o777)

    def _locked(self, folder: int) -> AbstractContextManager[None]:
        return fs.locked(self._open(folder, f"{self.path.name}.lock", os.O_RDONLY | os.O_CREAT))

    def _read(self, folder: int) -> dict[str, LedgerEntry]:
        try:
            stream = self._open(folder, self.path.name, os.O_RDONLY)
        except FileNotFoundError:
            return {}
        try:
            return self._parse(os.read(stream, _MAX_SIZE + 1) if S_ISREG(os.fstat(stream).st_mode) else b"")
        finally:
            os.close(stream)

    def _parse(self, text: bytes) -> dict[str, LedgerEntry]:
        """Return the entries; none if the file is corrupt, since each live process adds its own again."""
        try:
            found: dict[str, LedgerEntry] = decoder(dict[str, LedgerEntry]).decode(text)
        except (ValueError, RecursionError) as error:
            self._on_damaged(f"the reservation file {self.path} was corrupt and is recreated: {error}")
            return {}
        return {task_id: entry for task_id, entry in found.items() if entry.task_id == task_id}

    def _write(self, folder: int, entries: dict[str, LedgerEntry]) -> None:
        text = msgspec.json.encode(entries)
        temp = fs.temp_path(self.path.name)
        try:
            with os.fdopen(self._open(folder, temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                file.write(text)
            os.replace(temp, self.path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temp, dir_fd=folder)
            raise

    def _open(self, folder: int, name: str, flags: int) -> int:
        stream = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=folder)
        if self._shared and flags & os.O_CREAT and os.fstat(stream).st_uid == os.geteuid():
            os.fchmod(stream, 0o666)
        return stream


def _live_entries(entries: dict[str, LedgerEntry]) -> dict[str, LedgerEntry]:
    owners = {entry.owner for entry in entries.values()}
    alive = {owner for owner in owners if is_alive(owner)}
    return {task: entry for task, entry in entries.items() if entry.owner in alive and not _is_expired(entry)}


def _is_expired(entry: LedgerEntry) -> bool:
    return is_foreign(entry.owner) and time.time() - entry.since > _FOREIGN_LIFETIME
