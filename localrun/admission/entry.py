"""The entries of a ledger: reservations, and tasks that wait for one."""

from __future__ import annotations

import os
import time
from typing import Annotated

import msgspec

from localrun.task.frozen import Frozen, decoder
from localrun.task.process import current_process, is_alive, is_foreign
from localrun.task.record import ProcessId

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
    uid: int = msgspec.field(default_factory=os.geteuid)  # of the user; of others, that of their file

    @property
    def order(self) -> tuple[int, int]:
        """The place in the queue: by arrival, then by user."""
        return self.ticket, self.uid


def parse_entries(text: bytes) -> dict[str, LedgerEntry]:
    """Return the entries of a file by task id. Raises `ValueError` or `RecursionError` if it is corrupt."""
    found: dict[str, LedgerEntry] = decoder(dict[str, LedgerEntry]).decode(text)
    return {task_id: entry for task_id, entry in found.items() if entry.task_id == task_id}


def live_entries(entries: dict[str, LedgerEntry]) -> dict[str, LedgerEntry]:
    """Return the entries of processes that are alive, or that cannot be inspected and are recent."""
    owners = {entry.owner for entry in entries.values()}
    alive = {owner for owner in owners if is_alive(owner)}
    return {task: entry for task, entry in entries.items() if entry.owner in alive and not _is_expired(entry)}


def _is_expired(entry: LedgerEntry) -> bool:
    return is_foreign(entry.owner) and time.time() - entry.since > _FOREIGN_LIFETIME


def runs_as(owner: ProcessId, uid: int) -> bool:
    """Return whether a process is alive and belongs to a user; False if it cannot be inspected."""
    if owner.boot != current_process().boot or not is_alive(owner):
        return False
    try:
        return os.stat(f"/proc/{owner.pid}").st_uid == uid  # noqa: PTH116 - hot
    except OSError:
        return False
