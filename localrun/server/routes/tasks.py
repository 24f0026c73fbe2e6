"""Tasks: made, listed, found."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.errors import LocalrunError, TaskExists
from localrun.manager.payload import redact_secrets
from localrun.server import request_body, schemas, views
from localrun.server.error_handlers import detail_of, log_failures, status_of
from localrun.server.responses import json_response, now, to_iso
from localrun.server.routes.base import RawRoute, json_body, responses
from localrun.server.state import ServerState, get_state
from localrun.task.record import TaskRecord

router = APIRouter(tags=["tasks"])

TaskId = Annotated[str, Path(description="The id of a task.", max_length=200)]
NewTaskId = Annotated[
    str, Path(description="An id of your own.", pattern="^[A-Za-z0-9_-]{1,64}$", examples=["my-task-0001"])
]

_MAKING = 2.0  # seconds from the folder of a task to its record, at most
_MAKES = responses(schemas.TaskCreated, 409, 503, 507)


async def create_task(request: Request) -> Response:
    """Make a task of any object. A list in `task` makes one of each of its objects.

    One that names a `bundle` or an `image` runs in a container; others are active until completed.
    """
    found = await request_body.read_submission(request)
    site = get_state(request)
    with log_failures(site.request_log, "task_creation", "Failed to create task"):
        if isinstance(found, schemas.Batch):
            return json_response(await _batch(site, found))
        with site.journal.batch():
            record = await _create(site, str(uuid.uuid4()), found.task, found.assigned_by, "POST /task")
            return _created(site, record)


router.add_api_route(
    "/task",
    create_task,
    methods=["POST"],
    route_class_override=RawRoute,
    summary="Make a task, or a list of them",
    responses=_MAKES | {200: {"model": schemas.TaskCreated | schemas.BatchProcessed, "description": "Done."}},
    openapi_extra=json_body((schemas.Submission, schemas.Batch)),
)


@router.get("/task/list", summary="List tasks", responses=responses(schemas.TaskList, 404))
async def list_tasks(request: Request, wanted: Annotated[schemas.TaskFilter, Query()]) -> Response:
    """Tasks in the order they were made; the active ones if nothing else is asked for.

    Of ended tasks the last thousand are listed (`keep_completed`); older ones are found by their id.
    """
    site = get_state(request)
    with log_failures(site.request_log, "task_list", "Failed to get task list"):
        found = _selected(site, wanted.state)
        if wanted.assigned_by is not None:
            found = [record for record in found if record.assigned_by == wanted.assigned_by]
        if wanted.after is not None:
            found = _after(found, wanted.after)
        more = wanted.limit is not None and len(found) > wanted.limit
        return json_response(_listing(found[: wanted.limit], more=more))


@router.put(
    "/task/{task_id}",
    summary="Make a task under an id of your own",
    responses=_MAKES,
    openapi_extra=json_body(schemas.Submission),
)
async def put_task(request: Request, task_id: NewTaskId) -> Response:
    """As `POST /task`, and it may be sent again: the same object is never made twice."""
    found = request_body.validate(await request_body.read_json(request), schemas.Submission)
    site = get_state(request)
    with log_failures(site.request_log, "task_creation", "Failed to create task"):
        async with site.task_locks.hold(task_id):
            return _created(site, await _once(site, task_id, found))


async def _once(site: ServerState, task_id: str, found: schemas.Submission) -> TaskRecord:
    """The task that there is already, if it is the same, or a new one."""
    known = site.app.manager.find_task(task_id)
    if known is not None and _is_same(known, found):
        return known
    try:
        with site.journal.batch():
            return await _create(site, task_id, found.task, found.assigned_by, f"PUT /task/{task_id}")
    except TaskExists:
        made = await _appearing(site, task_id)
        if made is None or not _is_same(made, found):
            raise
        return made


def _is_same(known: TaskRecord, found: schemas.Submission) -> bool:
    # of a secret is not kept what it was
    return (known.submitted, known.assigned_by) == (redact_secrets(found.task), found.assigned_by)


async def _appearing(site: ServerState, task_id: str) -> TaskRecord | None:
    """A task that another server of this folder is making."""
    end = time.monotonic() + _MAKING
    while (found := site.app.manager.find_task(task_id)) is None:
        if time.monotonic() > end or site.app.store.find(task_id) is None:
            return None
        await anyio.sleep(0.02)
    return found


async def _create(
    site: ServerState, task_id: str, task: dict[str, Any], assigned_by: str, endpoint: str
) -> TaskRecord:
    site.request_log.log_task_request(task_id, task, assigned_by, endpoint)
    made = await site.create(task_id, task, assigned_by)
    site.request_log.log_call(
        "create_task", task_id, site.active_count, task_data=task, assigned_by=assigned_by
    )
    return made.record


def _created(site: ServerState, record: TaskRecord) -> Response:
    # the status in words is the name of an event, and people count that
    site.request_log.log_response("create_task", 200, record.id, assigned_by=record.assigned_by)
    return json_response(
        {
            "status": "task_created",
            "task_id": record.id,
            "timestamp": to_iso(record.created_at),
            "assigned_by": record.assigned_by,
            "task": views.submitted_task(record),
            "message": f"Task {record.id} created and added to global task list",
            "state": record.state,
        }
    )


async def _batch(site: ServerState, found: schemas.Batch) -> dict[str, Any]:
    batch_id = str(uuid.uuid4())
    made: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for index, task in enumerate(found.task):
        try:
            record = await _create(site, str(uuid.uuid4()), task, found.assigned_by, "POST /task")
        except LocalrunError as error:
            detail = detail_of(error, status_of(error))
            site.request_log.log_rejection("POST", f"/task#{index}", status_of(error), detail)
            failed.append({"task_index": index, "task_data": task, "error": detail})
        else:
            made.append({"task_id": record.id, "task": task, "timestamp": to_iso(record.created_at)})
    site.request_log.log_response(
        "create_batch_tasks", 200, batch_id=batch_id, created=len(made), failed=len(failed)
    )
    return {
        "status": "batch_processed",
        "batch_id": batch_id,
        "total_tasks": len(found.task),
        "created_count": len(made),
        "failed_count": len(failed),
        "created_tasks": made,
        "failed_tasks": failed,
        "assigned_by": found.assigned_by,
        "timestamp": now(),
        "message": f"{len(made)} of {len(found.task)} tasks created and added to global task list",
    }


def _selected(site: ServerState, state: schemas.StateFilter) -> list[TaskRecord]:
    manager = site.app.manager
    if state == "active":
        return manager.active_tasks
    ended = [record for record in manager.completed_tasks if state in ("ended", "all", record.state)]
    active = [record for record in manager.active_tasks if state in ("all", record.state)]
    return sorted([*ended, *active], key=lambda record: record.created_at)


def _after(records: list[TaskRecord], task_id: str) -> list[TaskRecord]:
    for number, record in enumerate(records):
        if record.id == task_id:
            return records[number + 1 :]
    raise HTTPException(404, f"Task {task_id} not found in this list")


def _listing(records: Iterable[TaskRecord], *, more: bool) -> dict[str, Any]:
    entries = [(record.state.is_final, views.summary(record)) for record in records]
    active = [entry for is_end, entry in entries if not is_end]
    ended = [entry for is_end, entry in entries if is_end]
    return {
        "status": "success",
        "active_tasks_count": len(active),
        "active_tasks": active,
        "completed_tasks_count": len(ended),
        "completed_tasks": ended,
        "next": entries[-1][1]["task_id"] if more else None,
        "timestamp": now(),
    }


@router.get("/task/status", summary="Say how the task system is", responses=responses(schemas.Status))
async def get_status(request: Request) -> Response:
    """How many tasks there are, and whether the container engine answers."""
    site = get_state(request)
    with log_failures(site.request_log, "task_status", "Failed to get status"):
        site.app.manager.refresh()
        counts = site.app.manager.get_status()
        return json_response(
            {
                "status": "operational",
                "task_manager": {**counts, "running": site.running_count, "waiting": site.waiting_count},
                "engine": await anyio.to_thread.run_sync(site.engine_status),
                "timestamp": now(),
            }
        )


@router.get("/task/{task_id}", summary="Show a task", responses=responses(schemas.TaskResponse, 404))
async def get_task(request: Request, task_id: TaskId) -> Response:
    """All that is known of a task, also after its end."""
    site = get_state(request)
    with log_failures(site.request_log, "task_get", "Failed to get task"):
        record = site.get_record(task_id)
        shown = views.details(record, site.waiting_reason(record))
        return json_response({"status": "success", "task": shown, "timestamp": now()})
