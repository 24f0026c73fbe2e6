"""Actions on tasks: complete, kill, wait."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.errors import UsageError
from localrun.server import request_body, schemas, views
from localrun.server.error_handlers import log_failures
from localrun.server.responses import json_response
from localrun.server.routes.base import Grace, StrictRoute, json_body, responses
from localrun.server.routes.tasks import TaskId
from localrun.server.state import ServerState, get_state
from localrun.task.record import TaskRecord

router = APIRouter(route_class=StrictRoute, tags=["tasks"])

_MAX_WAIT = 300.0  # seconds; most proxies time out earlier


@router.post(
    "/task/{task_id}/complete",
    summary="Complete a manual task",
    responses=responses(schemas.TaskResponse, 404, 409, 507),
    openapi_extra=json_body(schemas.Completion, required=False),
)
async def complete_task(request: Request, task_id: TaskId) -> Response:
    """Finish a task that has no container, with its result."""
    found = request_body.validate(await request_body.read_json(request, default={}), schemas.Completion)
    state = get_state(request)
    with log_failures(state.request_log, "complete_task", "Failed to complete task"):
        record = state.app.manager.complete_task(task_id, found.result)
        if record is None:
            summary = "Task not found for completion"
            state.request_log.log_not_found("complete_task", summary, task_id, state.active_count)
            raise HTTPException(404, f"Task {task_id} not found")
        client = record.assigned_by
        state.request_log.log_call("complete_task", task_id, state.active_count, assigned_by=client)
        return _respond(state, "complete_task", record)


@router.post(
    "/task/{task_id}/kill",
    summary="Kill a task",
    responses=responses(schemas.TaskResponse, 404, 409, 503),
)
async def kill_task(
    request: Request,
    task_id: TaskId,
    grace: Grace = None,
) -> Response:
    """Stop a task and respond when it has ended."""
    state = get_state(request)
    with log_failures(state.request_log, "kill_task", "Failed to kill task"):
        if state.get_record(task_id).state.is_final:
            raise HTTPException(409, f"Task {task_id} has already ended")
        is_own = state.app.manager.get_task(task_id) is not None
        with suppress(UsageError):  # it has ended in the meantime
            kill = state.app.manager.kill_task if is_own else state.app.kill
            await anyio.to_thread.run_sync(kill, task_id, grace)
        record = await _until_end(state, task_id, _MAX_WAIT)
        state.request_log.log_call("kill_task", task_id, state.active_count)
        return _respond(state, "kill_task", record)


@router.get(
    "/task/{task_id}/wait",
    summary="Wait for a task to finish",
    responses=responses(schemas.WaitResponse, 404),
)
async def wait_for_task(
    request: Request,
    task_id: TaskId,
    timeout: Annotated[float, Query(ge=0, le=_MAX_WAIT, description="Maximum time in seconds.")] = 30.0,
) -> Response:
    """Respond when the task has ended, or after `timeout` seconds with `ended` false."""
    state = get_state(request)
    state.get_record(task_id)
    record = await _until_end(state, task_id, timeout)
    return json_response({**views.task_response(record), "ended": record.state.is_final})


async def _until_end(state: ServerState, task_id: str, timeout: float) -> TaskRecord:
    end = time.monotonic() + timeout
    folder = state.app.store.open(task_id).path
    with state.broadcaster.subscribe(task_id, folder) as subscription:
        while True:
            record = state.get_record(task_id)
            left = end - time.monotonic()
            if record.state.is_final or left <= 0 or state.broadcaster.is_closing:
                return record
            await subscription.wait(left)


def _respond(state: ServerState, action: str, record: TaskRecord) -> Response:
    state.request_log.log_response(action, 200, record.id, state=str(record.state))
    return json_response(views.task_response(record))
