"""Why a task cannot start now, or ever, in Kubernetes' words and in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from localrun.admission.host import Disk, HostSample
from localrun.admission.queue import Amount, Capacity, QueuePosition, requested_amount
from localrun.errors import AdmissionError, Cause, Problem
from localrun.task.record import Resources, short_id

_HYSTERESIS = 2.0  # a pressure ends this many percent below its limit

_CAUSES = {
    "cpu": Cause.CPU_UNAVAILABLE,
    "memory": Cause.MEMORY_UNAVAILABLE,
    "gpu": Cause.GPU_UNAVAILABLE,
    "disk": Cause.DISK_UNAVAILABLE,
}


class Limits(NamedTuple):
    """Limits for any start: percent of each disk and of the memory, and free bytes on each disk."""

    disk: float
    memory: float
    reserve: int


class Pressure(NamedTuple):
    """A shortage on the host that blocks every start."""

    name: str
    reason: str
    data: dict[str, Any]


class AdmissionRefusal(NamedTuple):
    """Why a task cannot start now. `pressures` are names; they last until well below the limit."""

    reason: str
    data: dict[str, Any]
    pressures: tuple[str, ...]
    position: int = 0  # in the queue


def host_pressures(host: HostSample, limits: Limits, active: frozenset[str]) -> list[Pressure]:
    """Return the pressures on the host. Those in `active` already existed and end at a lower limit."""
    disks = [_disk_pressure(point, disk, limits, active) for point, disk in host.disks.items()]
    found = [_memory_pressure(host, limits, active), *disks]
    return [pressure for pressure in found if pressure is not None]


def find_refusal(
    waiting: QueuePosition, capacity: Capacity, pressures: Sequence[Pressure]
) -> AdmissionRefusal | None:
    """Return why a waiting task cannot start now; None if it can."""
    if waiting.can_start and not pressures:
        return None
    reasons = [pressure.reason for pressure in pressures]
    data: dict[str, Any] = {"pressures": [pressure.data for pressure in pressures]}
    if not waiting.can_start:
        text, facts = _insufficient(waiting, capacity) if waiting.shortages else _blocked(waiting)
        reasons.append(f"0/1 nodes are available: {text}")
        data |= facts
    names = tuple(pressure.name for pressure in pressures)
    return AdmissionRefusal("; ".join(reasons), data, names, waiting.position)


def check_satisfiable(
    task_id: str, resources: Resources, capacity: Capacity, host: HostSample, limits: Limits
) -> None:
    """Raise `AdmissionError` if the task can never start, with every resource that is missing."""
    requested = requested_amount(resources)
    short = capacity.amount.shortages(requested)
    problems = [_exceeds(name, requested, capacity.amount) for name in short]
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
    """Return e.g. `3.2Gi`, `512Mi` or `1.5`. Free amounts are rounded down, requested ones `up`."""
    if name != "memory":
        return f"{value:g}"
    for unit, size in (("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024)):
        if abs(value) >= size:
            tenths = value * 10 / size
            return f"{(math.ceil(tenths) if up else math.floor(tenths)) / 10:g}{unit}"
    return f"{value:.0f}"


def _memory_pressure(host: HostSample, limits: Limits, active: frozenset[str]) -> Pressure | None:
    name = "memory-pressure"
    percent = host.memory_percent
    if not _is_pressure(percent, limits.memory, name in active):
        return None
    total = format_quantity("memory", host.memory_total)
    text = f"{name}: {_format_percent(percent, limits.memory)} of {total} in use"
    data = {"pressure": name, "percent": percent, "limit": limits.memory, "available": host.memory_available}
    return Pressure(name, text + _format_limit(percent, limits.memory), data)


def _disk_pressure(point: str, disk: Disk, limits: Limits, active: frozenset[str]) -> Pressure | None:
    name = f"disk-pressure: {point}"
    data = {"pressure": "disk-pressure", "disk": point, "percent": disk.percent, "limit": limits.disk}
    if disk.free < limits.reserve:
        return Pressure(name, f"disk-pressure: {_full(point, disk, limits).message}", data)
    if not _is_pressure(disk.percent, limits.disk, name in active):
        return None
    text = f"{name} is {_format_percent(disk.percent, limits.disk)} full"
    return Pressure(name, text + _format_limit(disk.percent, limits.disk), data)


def _is_pressure(percent: float, limit: float, active: bool) -> bool:
    return percent >= (limit - _HYSTERESIS if active else limit)


def _format_percent(percent: float, limit: float) -> str:
    rounded = math.floor(percent)  # fewer events than with decimals; never shows an unreached limit
    return f"{limit if rounded < limit <= percent else rounded:g} %"


def _format_limit(percent: float, limit: float) -> str:
    if percent >= limit:
        return f", limit {limit:g} %"
    return f", limit {limit:g} %, tasks resume below {limit - _HYSTERESIS:g} %"


def _insufficient(waiting: QueuePosition, capacity: Capacity) -> tuple[str, dict[str, Any]]:
    requested, total = requested_amount(waiting.entry)._asdict(), capacity.amount._asdict()
    free = waiting.free._asdict()
    lacking = [
        {"resource": name, "asked": requested[name], "free": max(free[name], 0), "total": total[name]}
        for name in waiting.shortages
    ]
    text = ", ".join(f"1 Insufficient {_format_shortage(item)}" for item in lacking)
    return text, {"insufficient": lacking}


def _format_shortage(item: dict[str, Any]) -> str:
    name = item["resource"]
    requested = format_quantity(name, item["asked"], up=True)
    free, total = format_quantity(name, item["free"]), format_quantity(name, item["total"])
    return f"{name} (requested {requested}, free {free} of {total})"


def _blocked(waiting: QueuePosition) -> tuple[str, dict[str, Any]]:
    assert waiting.blocked_by is not None
    earlier = waiting.blocked_by
    needs = requested_amount(earlier)
    amounts, short = needs._asdict(), waiting.free.shortages(needs)
    missing = ", ".join(f"{format_quantity(name, amounts[name], up=True)} {name}" for name in short)
    waits = f" and waits for {missing}" if missing else ""
    return f"task {short_id(earlier.task_id)} came first{waits}", {
        "behind": earlier.task_id,
        "short": list(short),
    }


def _exceeds(name: str, requested: Amount, total: Amount) -> Problem:
    wanted, available = requested._asdict()[name], total._asdict()[name]
    if name == "gpu" and not available:
        return Problem(
            "resources.gpus",
            f"requested {wanted:g} GPU, but the engine on this machine has none",
            "run without a GPU: `--gpus 0`",
        )
    option, noun = {"cpu": ("cpus", "CPUs"), "gpu": ("gpus", "GPUs")}.get(name, (name, f"of {name}"))
    most = format_quantity(name, available)
    return Problem(
        f"resources.{option}",
        f"requested {format_quantity(name, wanted, up=True)} {noun}, but this machine has {most}",
        f"request less with `--{option} {most}` or in the descriptor",
    )


def _full(point: str, disk: Disk, limits: Limits) -> Problem:
    free, reserve = format_quantity("memory", disk.free), format_quantity("memory", limits.reserve)
    return Problem(
        f"disk {point}",
        f"{point} has {free} free, but {reserve} must stay free",
        "free disk space there, or lower LOCALRUN_DISK_RESERVE",
    )
