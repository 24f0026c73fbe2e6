"""Reasons for waiting and for refusals, in Kubernetes' words and in numbers."""

from __future__ import annotations

import pytest

from localrun.admission import Capacity, Disk, HostSample, LedgerEntry
from localrun.admission.queue import schedule
from localrun.admission.reasons import (
    Limits,
    check_satisfiable,
    find_refusal,
    format_quantity,
    host_pressures,
)
from localrun.errors import AdmissionError, Cause, Fault
from localrun.task.process import current_process
from localrun.task.record import Resources

GI = 1024**3
MACHINE = Capacity(cpus=8, memory=int(23.5 * GI))
LIMITS = Limits(disk=90.0, memory=95.0, reserve=256 * 1024**2)


def host(*, disk: float = 50.0, free: int = 100 * GI, memory: float = 50.0) -> HostSample:
    available = int((100 - memory) * GI)
    return HostSample(0.0, 100 * GI, available, {"/": Disk(0, 1000 * GI, free, disk)})


def entry(name: str, ticket: int, memory: float, *, cpus: float = 1, admitted: bool = False) -> LedgerEntry:
    return LedgerEntry(
        task_id=name,
        ticket=ticket,
        admitted=admitted,
        owner=current_process(),
        since=0.0,
        cpus=cpus,
        memory=int(memory * GI),
        gpus=0,
    )


def test_too_little_memory_is_said_as_kubernetes_says_it() -> None:
    line = schedule([entry("old", 1, 20.25, admitted=True), entry("new", 2, 8)], MACHINE)
    found = find_refusal(line[0], MACHINE, [])
    assert found is not None
    assert (
        found.reason == "0/1 nodes are available: 1 Insufficient memory (requested 8Gi, free 3.2Gi of 23.5Gi)"
    )
    assert found.data["insufficient"][0]["asked"] == 8 * GI


def test_every_resource_that_is_short_is_named() -> None:
    line = schedule([entry("old", 1, 20, cpus=6.5, admitted=True), entry("new", 2, 8, cpus=4)], MACHINE)
    found = find_refusal(line[0], MACHINE, [])
    assert found is not None
    assert found.reason == (
        "0/1 nodes are available: 1 Insufficient cpu (requested 4, free 1.5 of 8),"
        " 1 Insufficient memory (requested 8Gi, free 3.5Gi of 23.5Gi)"
    )


def test_one_behind_another_is_told_behind_whom() -> None:
    line = schedule(
        [entry("old", 1, 12, admitted=True), entry("0123456789", 2, 16), entry("new", 3, 1)], MACHINE
    )
    found = find_refusal(line[1], MACHINE, [])
    assert found is not None
    assert found.reason == "0/1 nodes are available: task 01234567 came first and waits for 16Gi memory"
    assert (found.data["behind"], found.data["short"]) == ("0123456789", ["memory"])


def test_a_disk_at_the_limit_is_a_pressure() -> None:
    assert [found.reason for found in host_pressures(host(disk=93.4), LIMITS, frozenset())] == [
        "disk-pressure: / is 93 % full, limit 90 %"
    ]
    assert len(host_pressures(host(disk=90.0), LIMITS, frozenset())) == 1
    assert host_pressures(host(disk=89.9), LIMITS, frozenset()) == []


def test_a_pressure_ends_two_percent_below_its_limit() -> None:
    lasting = frozenset({"disk-pressure: /"})
    assert [found.reason for found in host_pressures(host(disk=89.9), LIMITS, lasting)] == [
        "disk-pressure: / is 89 % full, limit 90 %, tasks resume below 88 %"
    ]
    assert host_pressures(host(disk=87.9), LIMITS, lasting) == []


def test_memory_in_use_is_a_pressure() -> None:
    assert [found.reason for found in host_pressures(host(memory=97), LIMITS, frozenset())] == [
        "memory-pressure: 97 % of 100Gi in use, limit 95 %"
    ]


def test_a_disk_with_too_few_bytes_is_a_pressure_at_any_percent() -> None:
    found = host_pressures(host(disk=10.0, free=1024**2), LIMITS, frozenset())
    assert [one.reason for one in found] == ["disk-pressure: / has 1Mi free, but 256Mi must stay free"]


def test_a_pressure_and_a_lack_are_both_said() -> None:
    line = schedule([entry("new", 1, 24)], MACHINE)
    found = find_refusal(line[0], MACHINE, host_pressures(host(disk=93.0), LIMITS, frozenset()))
    assert found is not None
    assert found.reason == (
        "disk-pressure: / is 93 % full, limit 90 %;"
        " 0/1 nodes are available: 1 Insufficient memory (requested 24Gi, free 23.5Gi of 23.5Gi)"
    )
    assert found.pressures == ("disk-pressure: /",)


def test_more_memory_than_the_machine_has_is_refused_with_the_remedy() -> None:
    with pytest.raises(AdmissionError) as caught:
        check_satisfiable("t", Resources(memory=64 * GI), MACHINE, host(), LIMITS)
    assert caught.value.message == "requested 64Gi of memory, but this machine has 23.5Gi"
    assert "--memory 23.5Gi" in caught.value.remedy
    assert caught.value.cause is Cause.MEMORY_UNAVAILABLE
    assert caught.value.fault is Fault.HOST


@pytest.mark.parametrize(
    ("asked", "cause", "words"),
    [
        (Resources(cpus=9), Cause.CPU_UNAVAILABLE, "requested 9 CPUs, but this machine has 8"),
        (
            Resources(gpus=1),
            Cause.GPU_UNAVAILABLE,
            "requested 1 GPU, but the engine on this machine has none",
        ),
    ],
)
def test_each_resource_has_its_own_cause(asked: Resources, cause: Cause, words: str) -> None:
    with pytest.raises(AdmissionError) as caught:
        check_satisfiable("t", asked, MACHINE, host(), LIMITS)
    assert caught.value.message == words
    assert caught.value.cause is cause


def test_a_gpu_that_is_not_there_can_be_done_without() -> None:
    with pytest.raises(AdmissionError, match="--gpus 0"):
        check_satisfiable("t", Resources(gpus=1), MACHINE, host(), LIMITS)


def test_a_disk_without_its_reserve_is_refused() -> None:
    with pytest.raises(AdmissionError, match="/ has 1Mi free, but 256Mi must stay free") as caught:
        check_satisfiable("t", Resources(), MACHINE, host(free=1024**2), LIMITS)
    assert caught.value.cause is Cause.DISK_UNAVAILABLE


def test_everything_that_does_not_fit_is_said_at_once() -> None:
    with pytest.raises(AdmissionError) as caught:
        check_satisfiable("t", Resources(cpus=99, memory=64 * GI, gpus=2), MACHINE, host(free=0), LIMITS)
    assert [problem.path for problem in caught.value.problems] == [
        "resources.cpus",
        "resources.memory",
        "resources.gpus",
        "disk /",
    ]
    assert caught.value.facts["resources"] == ["cpu", "memory", "gpu", "disk"]


def test_all_of_the_machine_may_be_asked_for() -> None:
    assert check_satisfiable("t", Resources(cpus=8, memory=MACHINE.memory), MACHINE, host(), LIMITS) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("value", "up", "shown"),
    [
        (8 * GI, False, "8Gi"),
        (8 * GI - 1, False, "7.9Gi"),
        (8 * GI + 1, True, "8.1Gi"),
        (512 * 1024**2, False, "512Mi"),
        (12, False, "12"),
    ],
)
def test_what_is_free_is_never_shown_as_more_than_it_is(value: int, up: bool, shown: str) -> None:
    assert format_quantity("memory", value, up=up) == shown
