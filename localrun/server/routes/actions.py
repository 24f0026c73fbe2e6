"""Tasks: completed, killed, waited for."""

from __future__ import annotations

import time
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.server import request_body, schemas, views
from localrun.server.error_handlers import Failing
from localrun.server.responses import answer, now
from localrun.server.routes.base import json_body, responses
from localrun.server.routes.tasks import TaskId
from localrun.server.state import Site, site_of
from localrun.task.record import TaskRecord

router = APIRouter(tags=["tasks"])

_LONGEST = 300.0  # seconds; a proxy in between gives up earlier anyway
_LOOK = 0.5  # seconds between two looks at a task of another process, which tells us nothing


@router.post(
    "/task/{task_id}/complete",
    summary="Complete a task that has no container",
    responses=responses(schemas.OneTask, 404, 409, 507),
    openapi_extra=json_body(schemas.Completion, required=False),
)
async def complete_task(request: Request, task_id: TaskId) -> Response:
    """End a task that somebody did by hand, with what came of it."""
    found = request_body.check(await request_body.read(request, default={}), schemas.Completion)
    site = site_of(request)
    with Failing(site.minutes, "complete_task", "Failed to complete task"):
        record = site.app.manager.complete_task(task_id, found.result)
        if record is None:
            site.minutes.not_found(
                "complete_task", "Task not found for completion", task_id, site.active_count
            )
            raise HTTPException(404, f"Task {task_id} not found")
        site.minutes.called("complete_task", task_id, site.active_count, assigned_by=record.assigned_by)
        return _ended(site, "complete_task", record)


@router.post(
    "/task/{task_id}/kill", summary="Stop a task", responses=responses(schemas.OneTask, 404, 409, 503)
)
async def kill_task(
    request: Request,
    task_id: TaskId,
    grace: Annotated[
        float | None, Query(ge=0, le=600, description="Seconds until it is stopped by force.")
    ] = None,
) -> Response:
    """Stop a task, whatever it is doing, and answer when it has ended."""
    site = site_of(request)
    with Failing(site.minutes, "kill_task", "Failed to kill task"):
        if site.find(task_id).state.is_final:
            raise HTTPException(409, f"Task {task_id} has ended already")
        await anyio.to_thread.run_sync(site.app.manager.kill_task, task_id, grace)
        record = await _until_end(site, task_id, _LONGEST)
        site.minutes.called("kill_task", task_id, site.active_count)
        return _ended(site, "kill_task", record)


@router.get(
    "/task/{task_id}/wait", summary="Wait for the end of a task", responses=responses(schemas.OneTask, 404)
)
async def wait_for_task(
    request: Request,
    task_id: TaskId,
    timeout: Annotated[float, Query(ge=0, le=_LONGEST, description="Seconds to wait at most.")] = 30.0,
) -> Response:
    """Answer when the task has ended, or after `timeout` seconds; `ended` says which."""
    site = site_of(request)
    site.find(task_id)
    record = await _until_end(site, task_id, timeout)
    return answer({**_shown(record), "ended": record.state.is_final})


async def _until_end(site: Site, task_id: str, timeout: float) -> TaskRecord:
    end = time.monotonic() + timeout
    with site.hub.watching(task_id) as watcher:
        while True:
            record = site.find(task_id)
            left = end - time.monotonic()
            if record.state.is_final or left <= 0 or site.hub.closing:
                return record
            ours = site.app.manager.get_task(task_id) is not None
            await watcher.wait(left if ours else min(left, _LOOK))


def _ended(site: Site, action: str, record: TaskRecord) -> Response:
    site.minutes.answered(action, 200, record.id, state=str(record.state))
    return answer(_shown(record))


def _shown(record: TaskRecord) -> dict[str, Any]:
    return {"status": "success", "task": views.whole(record), "timestamp": now()}
