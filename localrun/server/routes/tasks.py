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
from localrun.manager.request import redact_secrets
from localrun.server import request_body, schemas, views
from localrun.server.error_handlers import Failing, detail_of, status_of
from localrun.server.responses import answer, moment, now
from localrun.server.routes.base import Direct, json_body, responses
from localrun.server.state import Site, site_of
from localrun.task.record import TaskRecord

router = APIRouter(tags=["tasks"])

TaskId = Annotated[str, Path(description="The id of a task.", max_length=200)]
NewTaskId = Annotated[
    str, Path(description="An id of your own.", pattern="^[A-Za-z0-9_-]{1,64}$", examples=["my-task-0001"])
]

_MAKING = 2.0  # seconds from the folder of a task to its record, at most
_MAKES = responses(schemas.Created, 409, 503, 507)


async def create_task(request: Request) -> Response:
    """Make a task of any object. A list in `task` makes one of each of its objects.

    One that names a `bundle` or an `image` runs in a container; others are active until completed.
    """
    found = await request_body.submission(request)
    site = site_of(request)
    with Failing(site.minutes, "task_creation", "Failed to create task"):
        if isinstance(found, schemas.Batch):
            return answer(await _batch(site, found))
        with site.journal.together():
            record = await _create(site, str(uuid.uuid4()), found.task, found.assigned_by, "POST /task")
            return _created(site, record)


router.add_api_route(
    "/task",
    create_task,
    methods=["POST"],
    route_class_override=Direct,
    summary="Make a task, or a list of them",
    responses=_MAKES | {200: {"model": schemas.Created | schemas.BatchProcessed, "description": "Done."}},
    openapi_extra=json_body((schemas.Submission, schemas.Batch)),
)


@router.get("/task/list", summary="List tasks", responses=responses(schemas.TaskList, 404))
async def list_tasks(request: Request, wanted: Annotated[schemas.Selection, Query()]) -> Response:
    """Tasks in the order they were made; the active ones if nothing else is asked for.

    Of ended tasks the last thousand are listed (`keep_completed`); older ones are found by their id.
    """
    site = site_of(request)
    with Failing(site.minutes, "task_list", "Failed to get task list"):
        found = _selected(site, wanted.state)
        if wanted.assigned_by is not None:
            found = [record for record in found if record.assigned_by == wanted.assigned_by]
        if wanted.after is not None:
            found = _after(found, wanted.after)
        more = wanted.limit is not None and len(found) > wanted.limit
        return answer(_listing(found[: wanted.limit], more=more))


@router.put(
    "/task/{task_id}",
    summary="Make a task under an id of your own",
    responses=_MAKES,
    openapi_extra=json_body(schemas.Submission),
)
async def put_task(request: Request, task_id: NewTaskId) -> Response:
    """As `POST /task`, and it may be sent again: the same object is never made twice."""
    found = request_body.check(await request_body.read(request), schemas.Submission)
    site = site_of(request)
    with Failing(site.minutes, "task_creation", "Failed to create task"):
        async with site.turns.of(task_id):
            return _created(site, await _once(site, task_id, found))


async def _once(site: Site, task_id: str, found: schemas.Submission) -> TaskRecord:
    """The task that there is already, if it is the same, or a new one."""
    known = site.app.manager.find_task(task_id)
    if known is not None and _is_same(known, found):
        return known
    try:
        with site.journal.together():
            return await _create(site, task_id, found.task, found.assigned_by, f"PUT /task/{task_id}")
    except TaskExists:
        made = await _appearing(site, task_id)
        if made is None or not _is_same(made, found):
            raise
        return made


def _is_same(known: TaskRecord, found: schemas.Submission) -> bool:
    # of a secret is not kept what it was
    return (known.submitted, known.assigned_by) == (redact_secrets(found.task), found.assigned_by)


async def _appearing(site: Site, task_id: str) -> TaskRecord | None:
    """A task that another server of this folder is making."""
    end = time.monotonic() + _MAKING
    while (found := site.app.manager.find_task(task_id)) is None:
        if time.monotonic() > end or site.app.store.find(task_id) is None:
            return None
        await anyio.sleep(0.02)
    return found


async def _create(
    site: Site, task_id: str, task: dict[str, Any], assigned_by: str, endpoint: str
) -> TaskRecord:
    site.minutes.requested(task_id, task, assigned_by, endpoint)
    made = await site.create(task_id, task, assigned_by)
    site.minutes.called("create_task", task_id, site.active_count, task_data=task, assigned_by=assigned_by)
    return made.record


def _created(site: Site, record: TaskRecord) -> Response:
    # the status in words is the name of an event, and people count that
    site.minutes.answered("create_task", 200, record.id, assigned_by=record.assigned_by)
    return answer(
        {
            "status": "task_created",
            "task_id": record.id,
            "timestamp": moment(record.created_at),
            "assigned_by": record.assigned_by,
            "task": views.submitted(record),
            "message": f"Task {record.id} created and added to global task list",
            "state": record.state,
        }
    )


async def _batch(site: Site, found: schemas.Batch) -> dict[str, Any]:
    batch_id = str(uuid.uuid4())
    made: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for index, task in enumerate(found.task):
        try:
            record = await _create(site, str(uuid.uuid4()), task, found.assigned_by, "POST /task")
        except LocalrunError as error:
            detail = detail_of(error, status_of(error))
            site.minutes.refused("POST", f"/task#{index}", status_of(error), detail)
            failed.append({"task_index": index, "task_data": task, "error": detail})
        else:
            made.append({"task_id": record.id, "task": task, "timestamp": moment(record.created_at)})
    site.minutes.answered("create_batch_tasks", 200, batch_id=batch_id, created=len(made), failed=len(failed))
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


def _selected(site: Site, state: schemas.Selected) -> list[TaskRecord]:
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
    entries = [(record.state.is_final, views.entry(record)) for record in records]
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
    site = site_of(request)
    with Failing(site.minutes, "task_status", "Failed to get status"):
        site.app.manager.refresh()
        counts = site.app.manager.get_status()
        return answer(
            {
                "status": "operational",
                "task_manager": {**counts, "running": site.running, "waiting": site.waiting},
                "engine": await anyio.to_thread.run_sync(site.engine),
                "timestamp": now(),
            }
        )


@router.get("/task/{task_id}", summary="Show a task", responses=responses(schemas.OneTask, 404))
async def get_task(request: Request, task_id: TaskId) -> Response:
    """All that is known of a task, also after its end."""
    site = site_of(request)
    with Failing(site.minutes, "task_get", "Failed to get task"):
        record = site.find(task_id)
        shown = views.whole(record, site.why_waiting(record))
        return answer({"status": "success", "task": shown, "timestamp": now()})
