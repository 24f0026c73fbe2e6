"""Who of those that wait may start, as pure functions of what is promised already.

The rule: the oldest goes first. A later one may pass an earlier one that does not fit only if that
cannot delay it, whatever ends when: of every resource that the later one takes, enough is free for the
earlier one too. So a task that waits for the gpu lets others use the cpus that it does not need, and a
task that waits for memory keeps the memory that is given back until it is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from localrun.admission.ledger import LedgerEntry
from localrun.task.record import Resources

_HAIR = 1e-9  # ten times 0.1 cpu fit into one


class Amount(NamedTuple):
    """Of each resource so much: cpus, memory in bytes, gpus."""

    cpu: float
    memory: float
    gpu: float

    def subtract(self, other: Amount) -> Amount:
        """What is left when `other` is taken away."""
        return Amount(self.cpu - other.cpu, self.memory - other.memory, self.gpu - other.gpu)

    def shortages(self, asked: Amount) -> list[str]:
        """The resources of which `asked` wants more than there is."""
        return [
            name
            for name, mine, theirs in zip(self._fields, self, asked, strict=True)
            if theirs > mine + _HAIR
        ]


class Capacity(msgspec.Struct, frozen=True):
    """What the engine's host has: cpus, memory in bytes, gpus."""

    cpus: float
    memory: int
    gpus: int = 0

    @property
    def amount(self) -> Amount:
        """The same, to reckon with."""
        return Amount(self.cpus, self.memory, self.gpus)


class QueuePosition(NamedTuple):
    """Where one that waits stands: what is free when its turn comes, and whom it must not pass."""

    entry: LedgerEntry
    free: Amount
    blocked_by: LedgerEntry | None = None
    position: int = 0  # in the line

    @property
    def shortages(self) -> list[str]:
        """The resources that it lacks."""
        return self.free.shortages(requested_amount(self.entry))

    @property
    def can_start(self) -> bool:
        """Whether it fits and delays nobody."""
        return self.blocked_by is None and not self.shortages  # the second is the dearer one to find out


def requested_amount(what: LedgerEntry | Resources) -> Amount:
    """What a task asks for, to reckon with."""
    return Amount(what.cpus, what.memory, what.gpus)


def schedule(entries: Iterable[LedgerEntry], capacity: Capacity) -> list[QueuePosition]:
    """The places of all that wait, the oldest first."""
    known = sorted(entries, key=lambda entry: entry.ticket)
    free = capacity.amount
    for entry in known:
        if entry.admitted:
            free = free.subtract(requested_amount(entry))
    places: list[QueuePosition] = []
    stuck: list[tuple[LedgerEntry, Amount]] = []
    for entry in known:
        if entry.admitted:
            continue
        wants = requested_amount(entry)
        behind = next((other for other, needs in stuck if _delays(wants, needs, free)), None)
        places.append(QueuePosition(entry, free, behind, len(places)))
        if places[-1].can_start:
            free = free.subtract(wants)
        else:
            stuck.append((entry, wants))
    return places


def _delays(later: Amount, earlier: Amount, free: Amount) -> bool:
    """Whether of something that the later one takes, too little is left for the earlier one.

    Written out, since a line of hundreds is looked through at every change.
    """
    return (
        (later.cpu > 0 and free.cpu - later.cpu + _HAIR < earlier.cpu)
        or (later.memory > 0 and free.memory - later.memory + _HAIR < earlier.memory)
        or (later.gpu > 0 and free.gpu - later.gpu + _HAIR < earlier.gpu)
    )
