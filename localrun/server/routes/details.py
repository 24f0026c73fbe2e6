"""Details of a task for the web page, and the actions that it offers."""

from __future__ import annotations

import time
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.errors import UsageError
from localrun.manager.defaults import with_defaults
from localrun.manager.rerun import request_from, with_changes
from localrun.report.details.rows import read_descriptor
from localrun.report.details.timeline import usage_samples
from localrun.report.details.view import task_view
from localrun.server import request_body, schemas, submissions, views
from localrun.server.error_handlers import log_failures
from localrun.server.page import models
from localrun.server.responses import json_response
from localrun.server.routes.base import StrictRoute, json_body, responses
from localrun.server.routes.tasks import TaskId
from localrun.server.state import ServerState, get_state
from localrun.server.timestamps import now, to_iso
from localrun.task.record import TaskRecord
from localrun.task.store import RESERVED_IDS

router = APIRouter(route_class=StrictRoute, tags=["tasks"])


@router.get(
    "/task/{task_id}/view",
    summary="Get everything that the web page shows of a task",
    responses=responses(models.TaskView, 404),
)
async def get_view(request: Request, task_id: TaskId) -> Response:
    """Return a task with its timeline, usage, inputs, outputs, events, replicas and commands.

    Times are in seconds since 1970. `GET /events?after=EVENT_ID` continues from this response without a gap.
    """
    base_url = str(request.base_url).rstrip("/")
    return json_response(await anyio.to_thread.run_sync(_view, get_state(request), task_id, base_url))


def _view(state: ServerState, task_id: str, base_url: str) -> dict[str, Any]:
    state.follower.touch()
    event_id = state.feed.last_id
    record = state.get_record(task_id)
    workspace = state.app.store.open(record.id)
    found = task_view(record, workspace, state.app.replicas(record), time.time())
    submission = submissions.of_record(record, state.bundle_store, read_descriptor(workspace))
    curl = submissions.curl(submission, base_url, has_token=state.options.token is not None)
    return {
        **found,
        "task": views.details(record, state.waiting_reason(record)),
        "commands": {**found["commands"], "curl": curl},
        "submission": submission.task if submission else None,
        "bundle": {"reference": submission.task.get("bundle") if submission else None},
        "event_id": event_id,
    }


@router.get(
    "/task/{task_id}/usage",
    summary="Get the resource usage of a task over time",
    responses=responses(models.TaskUsage, 404),
)
async def get_usage(
    request: Request,
    task_id: TaskId,
    since: Annotated[
        float, Query(ge=0, le=1e12, description="Only samples after this time, in seconds since 1970.")
    ] = 0.0,
) -> Response:
    """Return one sample a second: CPU seconds, memory, disk bytes, processes.

    A task of more than two hours has fewer samples, and one of less than a second has none.
    """
    state = get_state(request)
    record = state.get_record(task_id)
    samples = await anyio.to_thread.run_sync(usage_samples, state.app.store.open(record.id), since)
    last = samples[-1]["time"] if samples else None
    return json_response({"samples": samples, "last": last, "ended": record.state.is_final})


@router.post(
    "/task/{task_id}/rerun",
    summary="Run a task again",
    responses=responses(schemas.TaskCreated, 404, 409, 503, 507),
    openapi_extra=json_body(models.Rerun, required=False),
)
async def rerun_task(request: Request, task_id: TaskId) -> Response:
    """Create a task with the bundle, inputs and options of an earlier one; `inputs` replace some of them."""
    found = request_body.validate(await request_body.read_json(request, default={}), models.Rerun)
    state = get_state(request)
    with log_failures(state.request_log, "create_task", "Failed to rerun task"):
        record = await anyio.to_thread.run_sync(_rerun, state, task_id, found)
        log = state.request_log
        log.log_call("rerun_task", record.id, state.active_count, assigned_by=record.assigned_by)
        log.log_response("rerun_task", 200, record.id, assigned_by=record.assigned_by)
    return json_response(
        {
            "status": "task_created",
            "task_id": record.id,
            "timestamp": to_iso(record.created),
            "assigned_by": record.assigned_by,
            "task": views.submitted_task(record),
            "message": f"Task {record.id} created and added to global task list",
            "state": record.state,
        }
    )


def _rerun(state: ServerState, task_id: str, found: models.Rerun) -> TaskRecord:
    before = state.get_record(task_id)
    own = with_defaults({}, state.app.settings).get("bind_mounts", [])
    if any(mount not in own for mount in before.run_plan.bind_mounts):
        raise UsageError(
            f"task {before.short_id} mounts paths of the server's machine, which a client cannot do",
            remedy=f"run it there: `localrun rerun {before.short_id}`",
        )
    made = request_from(
        before,
        state.app.store.open(before.id),
        lambda _: None,
        replaced=found.inputs,
        has_image=lambda image: state.app.engine.find_image(image) is not None,
    )
    assigned_by = found.assigned_by or before.assigned_by
    changed = with_changes(made, {"metadata": found.metadata}, found.inputs)
    find_file = state.bundle_store.find_file
    return state.submit(changed.replace(find_file=find_file, detached=True, assigned_by=assigned_by)).record


@router.delete(
    "/task/{task_id}",
    summary="Delete a task",
    responses=responses(models.TaskRemoved, 404, 409),
)
async def delete_task(request: Request, task_id: TaskId) -> Response:
    """Delete an ended task with its inputs, outputs and logs."""
    if task_id in RESERVED_IDS:  # a word of other paths
        raise HTTPException(405)
    state = get_state(request)
    with log_failures(state.request_log, "delete_task", "Failed to delete task"):
        record = state.get_record(task_id)
        await anyio.to_thread.run_sync(state.remove, record)
        state.request_log.log_call("delete_task", record.id, state.active_count)
        state.request_log.log_response("delete_task", 200, record.id)
    return json_response({"status": "removed", "task_id": record.id, "timestamp": now()})
