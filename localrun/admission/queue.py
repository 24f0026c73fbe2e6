"""The queue: which waiting tasks may start, as pure functions of the ledger's entries.

Tasks start in order of arrival. A later task may overtake an earlier one that does not fit only if this
cannot delay the earlier one, in whatever order running tasks end: of each resource that the later task
uses, enough must remain free for the earlier one. So a task that waits for a GPU lets others use the CPUs
that it does not need, and a task that waits for memory keeps released memory until there is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from localrun.admission.entry import LedgerEntry
from localrun.task.record import Resources

_EPSILON = 1e-9  # so that ten times 0.1 CPU fit into one


class Amount(NamedTuple):
    """An amount of each resource: CPUs, memory in bytes, GPUs."""

    cpu: float
    memory: float
    gpu: float

    def subtract(self, other: Amount) -> Amount:
        return Amount(self.cpu - other.cpu, self.memory - other.memory, self.gpu - other.gpu)

    def shortages(self, requested: Amount) -> list[str]:
        """Return the resources of which more is requested than there is."""
        amounts = zip(self._fields, self, requested, strict=True)
        return [name for name, available, needed in amounts if needed > available + _EPSILON]


class Capacity(msgspec.Struct, frozen=True):
    """What the engine's host has: CPUs, memory in bytes, GPUs."""

    cpus: float
    memory: int
    gpus: int = 0

    @property
    def amount(self) -> Amount:
        return Amount(self.cpus, self.memory, self.gpus)


class QueuePosition(NamedTuple):
    """A waiting task: what is free at its turn, and the earlier task that it must not overtake."""

    entry: LedgerEntry
    free: Amount
    blocked_by: LedgerEntry | None = None
    position: int = 0  # in the queue, from 0

    @property
    def shortages(self) -> list[str]:
        return self.free.shortages(requested_amount(self.entry))

    @property
    def can_start(self) -> bool:
        """Whether the task fits and delays no earlier one."""
        return self.blocked_by is None and not self.shortages  # the cheap test first


def requested_amount(request: LedgerEntry | Resources) -> Amount:
    """Return the resources that a task requests, as an `Amount`."""
    return Amount(request.cpus, request.memory, request.gpus)


def schedule(entries: Iterable[LedgerEntry], capacity: Capacity) -> list[QueuePosition]:
    """Return the positions of all waiting tasks, in order of arrival."""
    ordered = sorted(entries, key=lambda entry: entry.order)
    free = _free(ordered, capacity)
    positions: list[QueuePosition] = []
    blocked: list[tuple[LedgerEntry, Amount]] = []
    for entry in ordered:
        if entry.admitted:
            continue
        requested = requested_amount(entry)
        blocked_by = next((other for other, needs in blocked if _delays(requested, needs, free)), None)
        positions.append(QueuePosition(entry, free, blocked_by, len(positions)))
        if positions[-1].can_start:
            free = free.subtract(requested)
        else:
            blocked.append((entry, requested))
    return positions


def fits(entries: Iterable[LedgerEntry], capacity: Capacity) -> bool:
    """Return whether the machine has the resources of all reservations among `entries`."""
    return not _free(entries, capacity).shortages(Amount(0, 0, 0))


def _free(entries: Iterable[LedgerEntry], capacity: Capacity) -> Amount:
    free = capacity.amount
    for entry in entries:
        if entry.admitted:
            free = free.subtract(requested_amount(entry))
    return free


def _delays(later: Amount, earlier: Amount, free: Amount) -> bool:
    """Return whether some resource that the later task uses is then too scarce for the earlier one.

    Unrolled for speed: each change checks a queue of possibly hundreds.
    """
    return (
        (later.cpu > 0 and free.cpu - later.cpu + _EPSILON < earlier.cpu)
        or (later.memory > 0 and free.memory - later.memory + _EPSILON < earlier.memory)
        or (later.gpu > 0 and free.gpu - later.gpu + _EPSILON < earlier.gpu)
    )
