"""The gate: a task passes when the ledger and the host have room for it, in the order of arrival.

Waiting is waiting for a bell: whoever gives something back rings for those that can start now. Two
things ring no bell, the host and the death of a process: for them the first in the line looks once a
second, and each of the others the more seldom the farther back it stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from localrun.admission import reasons
from localrun.admission.host import HostSample, sample_host
from localrun.admission.ledger import Ledger, LedgerEntry, LedgerTxn
from localrun.admission.queue import Capacity, QueuePosition, schedule
from localrun.admission.reasons import AdmissionRefusal, Limits
from localrun.errors import AdmissionError
from localrun.task.record import Resources

EventCallback = Callable[[str, dict[str, Any]], None]

_PATIENCE = 10  # looks of the first in the line, for one look of somebody far behind


def _untold(_kind: str, _data: dict[str, Any]) -> None:
    """Nobody wants to hear."""


class Snapshot(NamedTuple):
    """Who runs and who waits on this machine, the oldest first."""

    running: tuple[LedgerEntry, ...]
    waiting: tuple[LedgerEntry, ...]


class Reservation:
    """What a task was promised, until it is given back; also a context manager."""

    def __init__(self, admission: Admission, task_id: str) -> None:
        self.task_id = task_id
        self._admission = admission
        self._held = True

    def release(self) -> None:
        """Give it back and wake those that can start with it. Idempotent; never raises."""
        if self._held:
            self._held = False
            self._admission._give_back(self.task_id)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Admission:
    """Decides for this machine, together with every other localrun process of it. Thread-safe.

    `ledger` is the shared file, `capacity` what the engine's host has, `disks` the folders whose file
    systems are watched (the tasks' folder, the engine's root). At `disk_limit` percent of a disk, at
    `memory_limit` percent of the memory, and with less than `disk_reserve` bytes free, nothing starts
    (App Engine: Kubernetes taints a node at 90 % of its disk), until it is two percent below.
    `on_event` hears of what is wrong with the ledger. `look` samples the host, at most every `every`
    seconds.
    """

    def __init__(
        self,
        ledger: Path,
        capacity: Capacity,
        disks: Sequence[Path],
        *,
        disk_limit: float = 90.0,
        memory_limit: float = 95.0,
        disk_reserve: int = 0,
        on_event: EventCallback = _untold,
        sampler: Callable[[Sequence[Path]], HostSample] = sample_host,
        interval: float = 1.0,
    ) -> None:
        self.capacity = capacity
        self._disks = tuple(disks)
        self._limits = Limits(disk_limit, memory_limit, disk_reserve)
        self._ledger = Ledger(ledger, lambda message: on_event("ledger-damaged", {"message": message}))
        self._look = sampler
        self._every = interval
        self._seen: tuple[float, HostSample] | None = None
        self._mine: dict[str, LedgerEntry] = {}  # both are changed only while the ledger is locked
        self._gone: set[str] = set()  # given back while the ledger could not be written

    def check(self, task_id: str, asked: Resources) -> None:
        """Raise `AdmissionError`, with every resource of which this machine can never give enough."""
        reasons.check_satisfiable(task_id, asked, self.capacity, self._host(), self._limits)

    def acquire(
        self,
        task_id: str,
        asked: Resources,
        *,
        on_wait: EventCallback = _untold,
        check_cancelled: Callable[[], None] = lambda: None,
    ) -> Reservation:
        """Block until the task may start.

        `waiting` is told why it may not yet, and again whenever that changes. `check_cancelled` is
        called before and at every wake, and ends the wait by raising. Raises `AdmissionError` when the
        task can never start. Leaves nothing behind when it raises.
        """
        try:
            check_cancelled()
            self.check(task_id, asked)
            if self._try(task_id, asked) is not None:
                self._wait(task_id, asked, on_wait, check_cancelled)
            return Reservation(self, task_id)
        except BaseException:
            self._give_back(task_id)
            raise

    def enqueue(self, task_id: str, asked: Resources) -> None:
        """Take a place behind all others, which a later `acquire` of this process holds; never waits.

        For a caller whose threads begin in any order, but whose tasks must start in his.
        """
        with self._table() as table:
            if table.find_own(task_id) is None:
                self._put(table, table.new_entry(task_id, asked))

    def adopt(self, task_id: str, asked: Resources) -> Reservation:
        """Write down what a task already uses, whose container outlived its process. Never waits."""
        with self._table() as table:
            self._put(table, table.new_entry(task_id, asked).replace(admitted=True))
        return Reservation(self, task_id)

    def wake(self, task_id: str) -> None:
        """Have a task that waits, in whatever process, look whether it was cancelled."""
        from localrun.admission.wakeup import notify

        entry = self._ledger.read().get(task_id)
        notify([entry.wakeup] if entry else [])

    def snapshot(self) -> Snapshot:
        """Who runs and who waits now."""
        known = sorted(self._ledger.read().values(), key=lambda entry: entry.ticket)
        return Snapshot(
            running=tuple(entry for entry in known if entry.admitted),
            waiting=tuple(entry for entry in known if not entry.admitted),
        )

    def _wait(
        self, task_id: str, asked: Resources, waiting: EventCallback, check_cancelled: Callable[[], None]
    ) -> None:
        from localrun.admission.wakeup import Wakeup

        said = ""
        with Wakeup() as bell:
            while (refusal := self._try(task_id, asked, bell.name)) is not None:
                if refusal.reason != said:
                    said = refusal.reason
                    waiting(said, refusal.data)
                check_cancelled()
                self._pause(bell.wait, check_cancelled, position=refusal.position)

    def _pause(
        self, wait: Callable[[float], bool], check_cancelled: Callable[[], None], *, position: int
    ) -> None:
        for _ in range(min(1 + position, _PATIENCE)):
            rung = wait(self._every)
            check_cancelled()
            if rung:
                return

    def _try(self, task_id: str, asked: Resources, bell: str = "") -> AdmissionRefusal | None:
        """Start it if it may, take or keep its place in the line if not; and wake whom that concerns."""
        host = self._host()
        with self._table() as table:
            entry = table.find_own(task_id) or table.new_entry(task_id, asked)
            table.put(entry)
            pressed = reasons.host_pressures(host, self._limits, _lasting(table))
            line = schedule(table.entries.values(), self.capacity)
            mine = next(place for place in line if place.entry.task_id == task_id)
            refusal = reasons.find_refusal(mine, self.capacity, pressed)
            self._put(table, entry.replace(**_outcome(refusal, bell)))
            if refusal is None:
                line = schedule(table.entries.values(), self.capacity)
        if not pressed:
            _ring(line, task_id, head=refusal is None)
        return refusal

    def _give_back(self, task_id: str) -> None:
        try:
            with self._table() as table:
                self._mine.pop(task_id, None)
                table.remove(task_id)
                line = schedule(table.entries.values(), self.capacity)
        except AdmissionError:  # the next change takes it out, or the end of this process
            self._mine.pop(task_id, None)
            self._gone.add(task_id)
        else:
            _ring(line, task_id, head=True)

    @contextmanager
    def _table(self) -> Iterator[LedgerTxn]:
        """The ledger's table, in which what this process knows better is put right."""
        with self._ledger.transaction() as table:
            gone = frozenset(self._gone)
            for task_id, entry in tuple(self._mine.items()):
                table.entries.setdefault(task_id, entry)
            for task_id in gone:
                table.remove(task_id)
            yield table
        self._gone -= gone

    def _put(self, table: LedgerTxn, entry: LedgerEntry) -> None:
        table.put(entry)
        self._mine[entry.task_id] = entry
        self._gone.discard(entry.task_id)

    def _host(self) -> HostSample:
        now = time.monotonic()
        if self._seen is None or now - self._seen[0] >= self._every:
            self._seen = (now, self._look(self._disks))
        return self._seen[1]


def _outcome(refusal: AdmissionRefusal | None, bell: str) -> dict[str, Any]:
    if refusal is None:
        return {"admitted": True, "wakeup": "", "pressures": (), "reason": ""}
    return {"wakeup": bell, "pressures": refusal.pressures, "reason": refusal.reason}


def _lasting(table: LedgerTxn) -> frozenset[str]:
    """The pressures for which somebody waits: they hold for all, until they are well below the limit."""
    return frozenset(name for entry in table.entries.values() for name in entry.pressures)


def _ring(line: Sequence[QueuePosition], task_id: str, *, head: bool) -> None:
    """Wake those that may start now, and the first in the line when it may have become that."""
    others = [place for place in line if place.entry.task_id != task_id]
    bells = {place.entry.wakeup for place in others if place.can_start}
    if head and others:
        bells.add(others[0].entry.wakeup)
    bells.discard("")
    if bells:
        from localrun.admission.wakeup import notify

        with suppress(OSError):  # they look by themselves too
            notify(bells)
