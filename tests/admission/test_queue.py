"""The queue: first come, first served; overtaking never delays an earlier task."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from localrun.admission import Capacity, LedgerEntry
from localrun.admission.queue import requested_amount, schedule
from localrun.task.process import current_process

MACHINE = Capacity(cpus=8, memory=24, gpus=1)


def entry(
    ticket: int, *, cpus: float = 1, memory: int = 1, gpus: int = 0, admitted: bool = False
) -> LedgerEntry:
    return LedgerEntry(
        task_id=f"task-{ticket}",
        ticket=ticket,
        admitted=admitted,
        owner=current_process(),
        since=0.0,
        cpus=cpus,
        memory=memory,
        gpus=gpus,
    )


def starting(*entries: LedgerEntry) -> list[int]:
    return [place.entry.ticket for place in schedule(entries, MACHINE) if place.can_start]


def test_all_that_fit_start_in_the_order_of_arrival() -> None:
    assert starting(entry(3), entry(1), entry(2)) == [1, 2, 3]


def test_what_is_promised_is_not_promised_again() -> None:
    assert starting(entry(1, memory=12, admitted=True), entry(2, memory=13)) == []


def test_two_that_wait_are_not_both_given_the_same_room() -> None:
    assert starting(entry(1, memory=13), entry(2, memory=13)) == [1]


def test_a_small_task_does_not_take_the_memory_that_an_earlier_one_waits_for() -> None:
    assert starting(entry(1, memory=12, admitted=True), entry(2, memory=16), entry(3, memory=1)) == []


def test_a_task_without_gpu_passes_one_that_waits_for_the_gpu() -> None:
    busy = entry(1, gpus=1, admitted=True)
    assert starting(busy, entry(2, gpus=1), entry(3)) == [3]


def test_a_task_that_passes_leaves_the_cpus_that_the_earlier_one_will_need() -> None:
    busy = entry(1, gpus=1, admitted=True)
    assert starting(busy, entry(2, gpus=1, cpus=6), entry(3), entry(4)) == [3]


def test_one_who_waits_knows_behind_whom() -> None:
    line = schedule([entry(1, memory=12, admitted=True), entry(2, memory=16), entry(3)], MACHINE)
    assert [place.position for place in line] == [0, 1]
    assert line[0].shortages == ["memory"]
    assert line[1].blocked_by == entry(2, memory=16)


def test_ten_tenths_of_a_cpu_are_one() -> None:
    tenths = [entry(n, cpus=0.1, memory=0) for n in range(10)]
    assert all(place.can_start for place in schedule(tenths, Capacity(cpus=1, memory=1)))


def test_more_promised_than_there_is_lets_nobody_start() -> None:
    assert starting(entry(1, memory=30, admitted=True), entry(2, memory=0)) == []


amounts = st.tuples(st.integers(0, 8), st.integers(0, 24), st.integers(0, 1))


@given(running=st.lists(amounts, max_size=4), waiting=st.lists(amounts, min_size=2, max_size=5))
def test_whoever_passes_delays_nobody_whatever_ends_when(
    running: list[tuple[int, int, int]], waiting: list[tuple[int, int, int]]
) -> None:
    asks = [(ask, n < len(running)) for n, ask in enumerate([*running, *waiting])]
    known = [
        entry(n, cpus=ask[0], memory=ask[1], gpus=ask[2], admitted=admitted)
        for n, (ask, admitted) in enumerate(asks)
    ]
    line = schedule(known, MACHINE)
    began = [place.entry for place in line if place.can_start]
    for stuck in (place.entry for place in line if not place.can_start):
        before = known[: len(running)] + [one for one in began if one.ticket < stuck.ticket]
        passed = [one for one in began if one.ticket > stuck.ticket]
        for count in range(len(before) + 1):
            for still in combinations(before, count):
                if fits(stuck, list(still)):
                    assert fits(stuck, [*still, *passed])


def fits(one: LedgerEntry, beside: list[LedgerEntry]) -> bool:
    free = MACHINE.amount
    for other in beside:
        free = free.subtract(requested_amount(other))
    return not free.shortages(requested_amount(one))
