"""Why a task does not start now, or never will, in the words of Kubernetes and in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from localrun.admission.host import Disk, HostSample
from localrun.admission.queue import Amount, Capacity, QueuePosition, requested_amount
from localrun.errors import AdmissionError, Cause, Problem
from localrun.task.record import Resources, short_id

_BACK = 2.0  # percent below its limit at which a pressure ends, so that it does not come and go

_CAUSES = {
    "cpu": Cause.CPU_UNAVAILABLE,
    "memory": Cause.MEMORY_UNAVAILABLE,
    "gpu": Cause.GPU_UNAVAILABLE,
    "disk": Cause.DISK_UNAVAILABLE,
}


class Limits(NamedTuple):
    """Beyond these nothing starts: percent of the memory and of each disk, bytes free on each disk."""

    disk: float
    memory: float
    reserve: int


class Pressure(NamedTuple):
    """One thing that the host has too little of for anything to start."""

    name: str
    reason: str
    data: dict[str, Any]


class AdmissionRefusal(NamedTuple):
    """Not now, and why. `pressed` names the pressures, which last until they are well below the limit."""

    reason: str
    data: dict[str, Any]
    pressures: tuple[str, ...]
    position: int = 0  # in the line


def host_pressures(host: HostSample, limits: Limits, lasting: frozenset[str]) -> list[Pressure]:
    """What the host is short of. `lasting` are those that were there before: they end later."""
    found = [_memory_pressure(host, limits, lasting)]
    for point, disk in host.disks.items():
        found.append(_disk_pressure(point, disk, limits, lasting))
    return [pressure for pressure in found if pressure is not None]


def find_refusal(
    place: QueuePosition, capacity: Capacity, pressed: Sequence[Pressure]
) -> AdmissionRefusal | None:
    """Why this one cannot start now; None when it can."""
    if place.can_start and not pressed:
        return None
    reasons = [pressure.reason for pressure in pressed]
    data: dict[str, Any] = {"pressures": [pressure.data for pressure in pressed]}
    if not place.can_start:
        text, facts = _insufficient(place, capacity) if place.shortages else _behind(place)
        reasons.append(f"0/1 nodes are available: {text}")
        data |= facts
    return AdmissionRefusal(
        "; ".join(reasons), data, tuple(pressure.name for pressure in pressed), place.position
    )


def check_satisfiable(
    task_id: str, wants: Resources, capacity: Capacity, host: HostSample, limits: Limits
) -> None:
    """Raise `AdmissionError` with everything that this machine does not have, if there is any."""
    short = capacity.amount.shortages(requested_amount(wants))
    problems = [_beyond(name, requested_amount(wants), capacity.amount) for name in short]
    for point, disk in host.disks.items():
        if disk.free < limits.reserve:
            short.append("disk")
            problems.append(_full(point, disk, limits))
    if problems:
        raise AdmissionError(
            "; ".join(problem.message for problem in problems),
            remedy=problems[0].remedy,
            cause=_CAUSES[short[0]],
            problems=problems,
            task_id=task_id,
            resources=short,
        )


def format_quantity(name: str, value: float, *, up: bool = False) -> str:
    """`3.2Gi`, `512Mi`, `1.5`: what is free is rounded down, what is asked is rounded `up`."""
    if name != "memory":
        return f"{value:g}"
    for unit, size in (("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024)):
        if abs(value) >= size:
            tenths = value * 10 / size
            return f"{(math.ceil(tenths) if up else math.floor(tenths)) / 10:g}{unit}"
    return f"{value:.0f}"


def _memory_pressure(host: HostSample, limits: Limits, lasting: frozenset[str]) -> Pressure | None:
    name = "memory-pressure"
    percent = host.memory_percent
    if not _beyond_limit(percent, limits.memory, name in lasting):
        return None
    total = format_quantity("memory", host.memory_total)
    text = f"{name}: {_percent(percent, limits.memory)} of {total} in use"
    data = {"pressure": name, "percent": percent, "limit": limits.memory, "available": host.memory_available}
    return Pressure(name, text + _limit(percent, limits.memory), data)


def _disk_pressure(point: str, disk: Disk, limits: Limits, lasting: frozenset[str]) -> Pressure | None:
    name = f"disk-pressure: {point}"
    data = {"pressure": "disk-pressure", "disk": point, "percent": disk.percent, "limit": limits.disk}
    if disk.free < limits.reserve:
        return Pressure(name, f"disk-pressure: {_full(point, disk, limits).message}", data)
    if not _beyond_limit(disk.percent, limits.disk, name in lasting):
        return None
    text = f"{name} is {_percent(disk.percent, limits.disk)} full"
    return Pressure(name, text + _limit(disk.percent, limits.disk), data)


def _beyond_limit(percent: float, limit: float, lasting: bool) -> bool:
    return percent >= (limit - _BACK if lasting else limit)


def _percent(percent: float, limit: float) -> str:
    shown = math.floor(percent)  # fewer events than with decimals, and never beyond a limit it is below
    return f"{limit if shown < limit <= percent else shown:g} %"


def _limit(percent: float, limit: float) -> str:
    if percent >= limit:
        return f", limit {limit:g} %"
    return f", limit {limit:g} %, tasks start again below {limit - _BACK:g} %"


def _insufficient(place: QueuePosition, capacity: Capacity) -> tuple[str, dict[str, Any]]:
    wants, total = requested_amount(place.entry)._asdict(), capacity.amount._asdict()
    free = place.free._asdict()
    lacking = [
        {"resource": name, "asked": wants[name], "free": max(free[name], 0), "total": total[name]}
        for name in place.shortages
    ]
    return ", ".join(f"1 Insufficient {_numbers(item)}" for item in lacking), {"insufficient": lacking}


def _numbers(item: dict[str, Any]) -> str:
    name = item["resource"]
    wants, free, total = (
        format_quantity(name, item[key], up=key == "asked") for key in ("asked", "free", "total")
    )
    return f"{name} (asked {wants}, free {free} of {total})"


def _behind(place: QueuePosition) -> tuple[str, dict[str, Any]]:
    assert place.blocked_by is not None
    earlier = place.blocked_by
    needs = requested_amount(earlier)._asdict()
    lacks = ", ".join(
        f"{format_quantity(name, needs[name], up=True)} {name}"
        for name in place.free.shortages(requested_amount(earlier))
    )
    wait = f" waits for {lacks} and" if lacks else ""
    return f"1 task {short_id(earlier.task_id)}{wait} came earlier", {"behind": earlier.task_id}


def _beyond(name: str, wants: Amount, total: Amount) -> Problem:
    want, has = wants._asdict()[name], total._asdict()[name]
    if name == "gpu" and not has:
        return Problem(
            "resources.gpus",
            f"asked {want:g} gpu, the engine on this machine has none",
            "run it without: `--gpus 0`",
        )
    noun = {"cpu": "cpus", "gpu": "gpus"}.get(name, name)
    shown, of = format_quantity(name, has), " of" if name == "memory" else ""
    return Problem(
        f"resources.{noun}",
        f"asked {format_quantity(name, want, up=True)}{of} {noun}, this machine has {shown}",
        f"ask for less: `--{noun} {shown}`, or correct the descriptor",
    )


def _full(point: str, disk: Disk, limits: Limits) -> Problem:
    free, reserve = format_quantity("memory", disk.free), format_quantity("memory", limits.reserve)
    return Problem(
        f"disk {point}",
        f"{point} has {free} free, {reserve} must stay free",
        "free some space there, or set LOCALRUN_DISK_RESERVE to less",
    )
