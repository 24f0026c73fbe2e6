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
from localrun.server.error_handlers import log_failures
from localrun.server.responses import json_response, now
from localrun.server.routes.base import json_body, responses
from localrun.server.routes.tasks import TaskId
from localrun.server.state import ServerState, get_state
from localrun.task.record import TaskRecord

router = APIRouter(tags=["tasks"])

_LONGEST = 300.0  # seconds; a proxy in between gives up earlier anyway
_LOOK = 0.5  # seconds between two looks at a task of another process, which tells us nothing


@router.post(
    "/task/{task_id}/complete",
    summary="Complete a task that has no container",
    responses=responses(schemas.TaskResponse, 404, 409, 507),
    openapi_extra=json_body(schemas.Completion, required=False),
)
async def complete_task(request: Request, task_id: TaskId) -> Response:
    """End a task that somebody did by hand, with what came of it."""
    found = request_body.validate(await request_body.read_json(request, default={}), schemas.Completion)
    site = get_state(request)
    with log_failures(site.request_log, "complete_task", "Failed to complete task"):
        record = site.app.manager.complete_task(task_id, found.result)
        if record is None:
            site.request_log.log_not_found(
                "complete_task", "Task not found for completion", task_id, site.active_count
            )
            raise HTTPException(404, f"Task {task_id} not found")
        site.request_log.log_call("complete_task", task_id, site.active_count, assigned_by=record.assigned_by)
        return _ended(site, "complete_task", record)


@router.post(
    "/task/{task_id}/kill", summary="Stop a task", responses=responses(schemas.TaskResponse, 404, 409, 503)
)
async def kill_task(
    request: Request,
    task_id: TaskId,
    grace: Annotated[
        float | None, Query(ge=0, le=600, description="Seconds until it is stopped by force.")
    ] = None,
) -> Response:
    """Stop a task, whatever it is doing, and answer when it has ended."""
    site = get_state(request)
    with log_failures(site.request_log, "kill_task", "Failed to kill task"):
        if site.get_record(task_id).state.is_final:
            raise HTTPException(409, f"Task {task_id} has ended already")
        await anyio.to_thread.run_sync(site.app.manager.kill_task, task_id, grace)
        record = await _until_end(site, task_id, _LONGEST)
        site.request_log.log_call("kill_task", task_id, site.active_count)
        return _ended(site, "kill_task", record)


@router.get(
    "/task/{task_id}/wait",
    summary="Wait for the end of a task",
    responses=responses(schemas.TaskResponse, 404),
)
async def wait_for_task(
    request: Request,
    task_id: TaskId,
    timeout: Annotated[float, Query(ge=0, le=_LONGEST, description="Seconds to wait at most.")] = 30.0,
) -> Response:
    """Answer when the task has ended, or after `timeout` seconds; `ended` says which."""
    site = get_state(request)
    site.get_record(task_id)
    record = await _until_end(site, task_id, timeout)
    return json_response({**_shown(record), "ended": record.state.is_final})


async def _until_end(site: ServerState, task_id: str, timeout: float) -> TaskRecord:
    end = time.monotonic() + timeout
    with site.broadcaster.subscribe(task_id) as watcher:
        while True:
            record = site.get_record(task_id)
            left = end - time.monotonic()
            if record.state.is_final or left <= 0 or site.broadcaster.is_closing:
                return record
            ours = site.app.manager.get_task(task_id) is not None
            await watcher.wait(left if ours else min(left, _LOOK))


def _ended(site: ServerState, action: str, record: TaskRecord) -> Response:
    site.request_log.log_response(action, 200, record.id, state=str(record.state))
    return json_response(_shown(record))


def _shown(record: TaskRecord) -> dict[str, Any]:
    return {"status": "success", "task": views.details(record), "timestamp": now()}
