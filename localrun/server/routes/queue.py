"""The queue of this machine, and comparisons of tasks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from localrun.admission import Capacity, sample_host
from localrun.admission.entry import LedgerEntry
from localrun.admission.queue import QueuePosition, requested_amount, schedule
from localrun.report.details.differences import task_differences
from localrun.server.page import models
from localrun.server.reservations import read_capacity, read_entries
from localrun.server.responses import json_response
from localrun.server.routes.base import StrictRoute, responses
from localrun.server.state import ServerState, get_state

router = APIRouter(route_class=StrictRoute, tags=["tasks"])

_MEMORY_LIMIT = 95.0  # percent, of admission
_NAMES = {"cpu": "cpus", "memory": "memory", "gpu": "gpus"}

Fields = dict[str, Any]


@router.get(
    "/queue", summary="Get the queue and the resources of the machine", responses=responses(models.Queue)
)
async def get_queue(request: Request) -> Response:
    """Return the usage of the machine with its limits, the running tasks and, in order, the waiting ones.

    The tasks of all folders and users of the machine are listed, those of other folders without a name.
    """
    return json_response(await anyio.to_thread.run_sync(_queue, get_state(request)))


def _queue(state: ServerState) -> Fields:
    state.follower.touch()
    capacity, root = read_capacity(state.app)
    entries = read_entries(state.app)
    running = [entry for entry in entries if entry.admitted]
    waiting = [entry for entry in entries if not entry.admitted]
    positions: dict[tuple[str, int], QueuePosition] = {}
    if capacity is not None:
        positions = {(one.entry.task_id, one.entry.uid): one for one in schedule(entries, capacity)}
    reserved = {
        "cpus": round(sum(entry.cpus for entry in running), 6),
        "memory": sum(entry.memory for entry in running),
        "gpus": sum(entry.gpus for entry in running),
    }
    total = _amounts(capacity)
    return {
        "host": _host(state, capacity, root),
        "engine": state.engine_status(),
        "capacity": total,
        "reserved": reserved,
        "free": {name: max(0, total[name] - reserved[name]) for name in reserved} if total else None,
        "running": [_entry(state, entry) for entry in running],
        "waiting": [
            _entry(state, entry) | _position(number, entry, positions.get((entry.task_id, entry.uid)))
            for number, entry in enumerate(waiting)
        ],
        "ledger": str(state.app.ledger),
        "time": time.time(),
    }


def _amounts(capacity: Capacity | None) -> Fields | None:
    if capacity is None:
        return None
    return {"cpus": capacity.cpus, "memory": capacity.memory, "gpus": capacity.gpus}


def _host(state: ServerState, capacity: Capacity | None, root: Path | None) -> Fields:
    settings = state.app.settings
    folders = [settings.home.parent, *([root] if root is not None and root.is_dir() else [])]
    host = sample_host(folders)
    limit = state.app.runner.admission.limits.memory if capacity is not None else _MEMORY_LIMIT
    return {
        "cpu_percent": host.cpu_percent,
        "cpus": capacity.cpus if capacity is not None else None,
        "memory": {
            "total": host.memory_total,
            "available": host.memory_available,
            "used": host.memory_total - host.memory_available,
            "percent": round(host.memory_percent, 1),
            "limit_percent": limit,
        },
        "disks": [
            {
                "path": path,
                "total": disk.total,
                "used": disk.used,
                "free": disk.free,
                "percent": disk.percent,
                "limit_percent": settings.disk_limit,
                "stop_percent": settings.disk_stop,
                "reserve": settings.disk_reserve,
            }
            for path, disk in host.disks.items()
        ],
    }


def _entry(state: ServerState, entry: LedgerEntry) -> Fields:
    workspace = state.app.store.find(entry.task_id)
    record = state.app.manager.find_task(entry.task_id) if workspace is not None else None
    return {
        "task_id": entry.task_id,
        "name": record.name if record else None,
        "state": str(record.state) if record else None,
        "mine": record is not None,
        "cpus": entry.cpus,
        "memory": entry.memory,
        "gpus": entry.gpus,
        "since": entry.since,
        "pid": entry.owner.pid,
        "host": entry.owner.host,
        "uid": entry.uid,
    }


def _position(number: int, entry: LedgerEntry, found: QueuePosition | None) -> Fields:
    """Return why a task waits: the sentence of admission, and its numbers."""
    shortages: list[Fields] = []
    if found is not None:
        requested, free = requested_amount(entry)._asdict(), found.free._asdict()
        shortages = [
            {"resource": _NAMES[name], "requested": requested[name], "free": max(free[name], 0)}
            for name in found.shortages
        ]
    blocked = found.blocked_by.task_id if found is not None and found.blocked_by is not None else None
    return {"position": number, "reason": entry.reason, "shortages": shortages, "blocked_by": blocked}


TaskQuery = Annotated[str, Query(max_length=200, description="The id of a task.")]


@router.get("/diff", summary="Compare two tasks", responses=responses(models.TaskDiff, 404))
async def get_diff(request: Request, a: TaskQuery, b: TaskQuery) -> Response:
    """Return the differences between two tasks, and their inputs and outputs side by side."""
    state = get_state(request)
    sides = [state.get_record(task_id) for task_id in (a, b)]
    workspaces = [state.app.store.open(record.id) for record in sides]
    return json_response(await anyio.to_thread.run_sync(task_differences, sides, workspaces))
