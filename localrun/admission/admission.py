"""Admission: a task starts when the ledger and the host have enough resources, in order of arrival.

A process that releases resources signals the waiting tasks that can start now. The load of the host and
the death of a process send no signal, so waiting tasks also poll: the first in the queue once a second,
the others less often the farther back they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from localrun.admission import reasons
from localrun.admission.entry import LedgerEntry
from localrun.admission.host import HostSample, sample_host
from localrun.admission.ledger import Ledger, LedgerTxn
from localrun.admission.queue import Capacity, QueuePosition, fits, schedule
from localrun.admission.reasons import AdmissionRefusal, Limits
from localrun.errors import AdmissionError
from localrun.task.record import Resources

EventCallback = Callable[[str, dict[str, Any]], None]

_MAX_INTERVALS = 10  # between two polls of a task far back in the queue
_DISPUTE_TRIES = 5
_DISPUTE_PAUSE = 0.02  # seconds in which another user withdraws a claim


class Snapshot(NamedTuple):
    """The running and the waiting tasks of this machine, in order of arrival."""

    running: tuple[LedgerEntry, ...]
    waiting: tuple[LedgerEntry, ...]


class Reservation:
    """Resources reserved for a task until they are released. A context manager."""

    def __init__(self, admission: Admission, task_id: str) -> None:
        self.task_id = task_id
        self._admission = admission
        self._held = True

    def release(self) -> None:
        """Release the resources and wake tasks that can start now. Idempotent; never raises."""
        if self._held:
            self._held = False
            self._admission.withdraw(self.task_id)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Admission:
    """Admission control for this machine, shared with all of its localrun processes. Thread-safe.

    `ledger` is the shared file, `capacity` the resources of the engine's host, `disks` the folders whose
    file systems are monitored (the tasks' folder, the engine's root). Nothing starts at `disk_limit`
    percent of a disk, at `memory_limit` percent of the memory, or with less than `disk_reserve` bytes free
    (App Engine: Kubernetes taints a node at 90 % of its disk). A pressure ends two percent below its limit.
    `on_event` receives problems of the ledger. `sampler` samples the host, at most every `interval`
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
        on_event: EventCallback = lambda _kind, _data: None,
        sampler: Callable[[Sequence[Path]], HostSample] = sample_host,
        interval: float = 1.0,
    ) -> None:
        self.ledger = ledger
        self.capacity = capacity
        self._disks = tuple(disks)
        self._limits = Limits(disk_limit, memory_limit, disk_reserve)
        self._ledger = Ledger(ledger, lambda message: on_event("ledger-damaged", {"message": message}))
        self._sampler = sampler
        self._interval = interval
        self._sample: tuple[float, HostSample] | None = None
        # these two change only while the ledger is locked
        self._own_entries: dict[str, LedgerEntry] = {}
        self._unreleased: set[str] = set()  # released while the ledger could not be written

    @property
    def limits(self) -> Limits:
        """The limits for any start."""
        return self._limits

    def check(self, task_id: str, requested: Resources) -> None:
        """Raise `AdmissionError` if the task can never start, with every resource that is missing."""
        reasons.check_satisfiable(task_id, requested, self.capacity, self._host(), self._limits)

    def acquire(
        self,
        task_id: str,
        requested: Resources,
        *,
        on_wait: EventCallback = lambda _kind, _data: None,
        check_cancelled: Callable[[], None] = lambda: None,
    ) -> Reservation:
        """Block until the task may start.

        `on_wait` receives the reason for waiting, and each new reason. `check_cancelled` is called first
        and at every wakeup, and ends the wait by raising. Raises `AdmissionError` if the task can never
        start. If it raises, the task has no entry in the ledger.
        """
        try:
            check_cancelled()
            self.check(task_id, requested)
            if self._has_queue(task_id) or self._try(task_id, requested, on_wait=on_wait) is not None:
                self._wait(task_id, requested, on_wait, check_cancelled)
            return Reservation(self, task_id)
        except BaseException:
            self.withdraw(task_id)
            raise

    def _has_queue(self, task_id: str) -> bool:
        """Return whether other tasks of this process wait: most likely, this one has to wait as well."""
        others = (entry for entry in tuple(self._own_entries.values()) if entry.task_id != task_id)
        return any(not entry.admitted for entry in others)

    def enqueue(self, task_id: str, requested: Resources) -> None:
        """Add the task at the end of the queue for a later `acquire()`. Does not wait.

        For callers whose threads start in any order although their tasks must start in sequence.
        """
        with self._transaction() as txn:
            if txn.find_own(task_id) is None:
                self._put(txn, txn.new_entry(task_id, requested))

    def withdraw(self, task_id: str) -> None:
        """Remove a task from the reservations and wake tasks that can start now. Never raises."""
        try:
            with self._transaction() as txn:
                self._own_entries.pop(task_id, None)
                txn.remove(task_id)
                queue = schedule(txn.all, self.capacity)
        except AdmissionError:  # the next transaction, or the end of this process, removes the entry
            self._own_entries.pop(task_id, None)
            self._unreleased.add(task_id)
        else:
            _notify(queue, task_id, head=True)

    def adopt(self, task_id: str, requested: Resources) -> Reservation:
        """Reserve the resources of a task that runs already, without waiting.

        Its container has outlived the process that started it.
        """
        with self._transaction() as txn:
            self._put(txn, txn.new_entry(task_id, requested).replace(admitted=True))
        return Reservation(self, task_id)

    def wake(self, task_id: str) -> None:
        """Make a waiting task of any process check whether it was cancelled."""
        from localrun.admission.wakeup import notify

        entry = self._ledger.read().get(task_id)
        notify([entry.wakeup] if entry else [])

    def snapshot(self) -> Snapshot:
        entries = sorted(self._ledger.read().values(), key=lambda entry: entry.ticket)
        return Snapshot(
            running=tuple(entry for entry in entries if entry.admitted),
            waiting=tuple(entry for entry in entries if not entry.admitted),
        )

    def _wait(
        self, task_id: str, requested: Resources, on_wait: EventCallback, check_cancelled: Callable[[], None]
    ) -> None:
        from localrun.admission.wakeup import Wakeup

        reported = ""
        with Wakeup() as wakeup:
            while (refusal := self._try(task_id, requested, wakeup.name, on_wait)) is not None:
                if refusal.reason != reported:
                    reported = refusal.reason
                    on_wait(reported, refusal.data)
                check_cancelled()
                for _ in range(min(1 + refusal.position, _MAX_INTERVALS)):
                    signalled = wakeup.wait(self._interval)
                    check_cancelled()
                    if signalled:
                        break

    def _try(
        self,
        task_id: str,
        requested: Resources,
        wakeup: str = "",
        on_wait: EventCallback = lambda _kind, _data: None,
    ) -> AdmissionRefusal | None:
        """Admit the task, or keep it in the queue and return why. Wakes other tasks that are affected."""
        while True:
            refusal, admitted, others = self._claim(task_id, requested, wakeup, on_wait)
            if refusal is not None or self._is_undisputed(self._own_entries[task_id], admitted, others):
                return refusal
            with self._transaction() as txn:
                self._put(txn, self._own_entries[task_id].replace(admitted=False))

    def _is_undisputed(
        self, claim: LedgerEntry, admitted: Sequence[LedgerEntry], others: Sequence[LedgerEntry]
    ) -> bool:
        """Return whether a reservation that has just been written fits, given those of other users.

        No lock covers the ledgers of two users, so each writes its claim and then reads those of the others.
        If two claims were written at the same time, the later one in the order of arrival is withdrawn. The
        earlier one waits for that, and is withdrawn as well if the other user did not see it in time.
        `admitted` are the reservations of this user and `others` those of other users before the claim.
        """
        if not self._ledger.is_shared:
            return True
        known = {(entry.uid, entry.task_id) for entry in others if entry.admitted}
        for _ in range(_DISPUTE_TRIES):
            found = [entry for entry in self._ledger.read_others() if entry.admitted]
            rivals = [entry for entry in found if (entry.uid, entry.task_id) not in known]
            if not rivals or fits([*admitted, *found], self.capacity):
                return True
            if min(entry.order for entry in rivals) < claim.order:
                return False
            time.sleep(_DISPUTE_PAUSE)
        return False

    def _claim(
        self, task_id: str, requested: Resources, wakeup: str, on_wait: EventCallback
    ) -> tuple[AdmissionRefusal | None, list[LedgerEntry], list[LedgerEntry]]:
        """Reserve the resources if they are free, and return all reservations of the user and of others."""
        host = self._host()
        with self._transaction(lambda reason: on_wait(reason, {"lock": str(self._ledger.path)})) as txn:
            entry = txn.find_own(task_id) or txn.new_entry(task_id, requested)
            txn.put(entry)
            # a pressure that any task waits for holds for all tasks until well below the limit
            active = frozenset(name for other in txn.all for name in other.pressures)
            pressures = reasons.host_pressures(host, self._limits, active)
            queue = schedule(txn.all, self.capacity)
            own = next(waiting for waiting in queue if waiting.entry is entry)
            refusal = reasons.find_refusal(own, self.capacity, pressures)
            if refusal is None:
                self._put(txn, entry.replace(admitted=True, wakeup="", pressures=(), reason=""))
                queue = schedule(txn.all, self.capacity)
            else:
                reason, names = refusal.reason, refusal.pressures
                self._put(txn, entry.replace(wakeup=wakeup, pressures=names, reason=reason))
        if not pressures:
            _notify(queue, task_id, head=refusal is None)
        return refusal, [one for one in txn.entries.values() if one.admitted], txn.others

    @contextmanager
    def _transaction(self, on_locked: Callable[[str], None] = lambda _reason: None) -> Iterator[LedgerTxn]:
        """Lock the ledger and restore what this process knows but the file does not."""
        with self._ledger.transaction(on_locked) as txn:
            released = frozenset(self._unreleased)
            for task_id, entry in tuple(self._own_entries.items()):
                txn.entries.setdefault(task_id, entry)
            for task_id in released:
                txn.remove(task_id)
            yield txn
        self._unreleased -= released

    def _put(self, txn: LedgerTxn, entry: LedgerEntry) -> None:
        txn.put(entry)
        self._own_entries[entry.task_id] = entry
        self._unreleased.discard(entry.task_id)

    def _host(self) -> HostSample:
        now = time.monotonic()
        if self._sample is None or now - self._sample[0] >= self._interval:
            self._sample = (now, self._sampler(self._disks))
        return self._sample[1]


def _notify(queue: Sequence[QueuePosition], task_id: str, *, head: bool) -> None:
    """Wake the tasks that can start now, and the first in the queue if it may have changed (`head`)."""
    others = [waiting for waiting in queue if waiting.entry.task_id != task_id]
    names = {waiting.entry.wakeup for waiting in others if waiting.can_start}
    if head and others:
        names.add(others[0].entry.wakeup)
    names.discard("")
    if names:
        from localrun.admission.wakeup import notify

        with suppress(OSError):  # they also poll
            notify(names)
