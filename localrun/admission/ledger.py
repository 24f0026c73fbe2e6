"""The ledger: what is promised to whom, in one file that all localrun processes of a machine share.

Every change is made under a lock, and the file is replaced as a whole. It is not forced to the disk:
what it says is worth nothing after a reboot. The lock is `flock`, which the kernel lets go when its
holder dies; `filelock` does the same but takes some 25 ms to import, a tenth of what a small task takes.
"""

from __future__ import annotations

import errno
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

_LARGEST = 16 * 1024**2  # bytes; some 40,000 entries: whatever is larger was not written by us
_FOREIGN_LIFE = 7 * 24 * 3600.0  # seconds after which a process that cannot be looked at is forgotten


class LedgerEntry(Frozen, frozen=True, kw_only=True, rename={"wakeup": "bell", "pressures": "pressed"}):
    """A promise that was given (`admitted`), or somebody who waits for one. `since` in seconds since 1970."""

    task_id: str
    ticket: int
    admitted: bool
    owner: ProcessId
    since: float
    cpus: Annotated[float, msgspec.Meta(ge=0)]
    memory: Annotated[int, msgspec.Meta(ge=0)]
    gpus: Annotated[int, msgspec.Meta(ge=0)]
    wakeup: str = ""  # how to wake it: see `bell`
    pressures: tuple[str, ...] = ()  # the pressures that it waits for
    reason: str = ""


def machine_ledger_path(engine: str = "local") -> Path:
    """Where the ledger of this machine is, the same for all of its users.

    In memory, so that it is gone after a reboot and a full disk cannot stop it. `engine` tells machines
    apart when the containers run elsewhere.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the folder itself is checked when it is opened
    base = memory if memory.is_dir() else Path("/tmp")  # noqa: S108
    name = "".join(letter if letter.isalnum() else "-" for letter in engine)[-80:]
    return base / "localrun-ledger" / f"{name}.json"


class LedgerTxn:
    """The entries, while they are being changed."""

    def __init__(self, entries: dict[str, LedgerEntry]) -> None:
        self.entries = entries

    def new_entry(self, task_id: str, asked: Resources) -> LedgerEntry:
        """An entry behind all others, not put in yet.

        Tickets come from the clock that all processes share, so that the order of arrival survives
        even a ledger that has to be made anew.
        """
        last = max((entry.ticket for entry in self.entries.values()), default=0)
        return LedgerEntry(
            task_id=task_id,
            ticket=max(last + 1, time.monotonic_ns()),
            admitted=False,
            owner=current_process(),
            since=time.time(),
            **asked.as_dict(),
        )

    def put(self, entry: LedgerEntry) -> None:
        """Write an entry down, in place of what its task had."""
        self.entries[entry.task_id] = entry

    def find_own(self, task_id: str) -> LedgerEntry | None:
        """The entry of a task that this process carries."""
        entry = self.entries.get(task_id)
        return entry if entry is not None and entry.owner == current_process() else None

    def remove(self, task_id: str) -> None:
        """Forget an entry of this process; that of another one stays."""
        if self.find_own(task_id):
            del self.entries[task_id]


class Ledger:
    """The file. Raises `AdmissionError` when it cannot be kept."""

    def __init__(self, path: Path, damaged: Callable[[str], None]) -> None:
        self.path = path
        self._damaged = damaged
        # root and the members of the docker group share one machine; elsewhere a user's files are his own
        self._shared = path.parent == machine_ledger_path().parent

    @contextmanager
    def transaction(self) -> Iterator[LedgerTxn]:
        """The table, for as long as nobody else can change it; entries of dead processes are gone."""
        with self._told(), self._folder() as folder, self._locked(folder):
            before = self._read(folder)
            table = LedgerTxn(_living(before))
            yield table
            if table.entries != before:
                self._write(folder, table.entries)

    def read(self) -> dict[str, LedgerEntry]:
        """The entries of living processes, without keeping anybody from changing them."""
        if not self.path.parent.is_dir():
            return {}
        with self._told(), self._folder() as folder:
            return _living(self._read(folder))

    def stale_entries(self) -> list[LedgerEntry]:
        """The entries of processes that died, which the next change takes out."""
        if not self.path.parent.is_dir():
            return []
        with self._told(), self._folder() as folder:
            found = self._read(folder)
        living = _living(found)
        return [entry for task_id, entry in found.items() if task_id not in living]

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise AdmissionError(
                f"the ledger of reservations {self.path} cannot be kept: {error.strerror}",
                remedy="free some space there" if full else f"make {self.path.parent} writable, or remove it",
                cause=Cause.DISK_UNAVAILABLE if full else Cause.INTERNAL,
                path=str(self.path),
            ) from error

    @contextmanager
    def _folder(self) -> Iterator[int]:
        """The folder, which is never a link: others may have made it in a place that all can write."""
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
            return self._parse(os.read(stream, _LARGEST + 1) if _plain(stream) else b"")
        finally:
            os.close(stream)

    def _parse(self, text: bytes) -> dict[str, LedgerEntry]:
        """The entries; none when the file is damaged: every living process puts its own in again."""
        try:
            found: dict[str, LedgerEntry] = decoder(dict[str, LedgerEntry]).decode(text)
        except (ValueError, RecursionError) as error:
            self._damaged(f"the ledger {self.path} was damaged and is made anew: {error}")
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


def _plain(stream: int) -> bool:
    return S_ISREG(os.fstat(stream).st_mode)


def _living(entries: dict[str, LedgerEntry]) -> dict[str, LedgerEntry]:
    alive: dict[ProcessId, bool] = {}
    for entry in entries.values():
        if entry.owner not in alive:
            alive[entry.owner] = is_alive(entry.owner)
    return {
        task_id: entry for task_id, entry in entries.items() if alive[entry.owner] and not _forgotten(entry)
    }


def _forgotten(entry: LedgerEntry) -> bool:
    return is_foreign(entry.owner) and time.time() - entry.since > _FOREIGN_LIFE
