"""Create, list and get tasks."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.errors import LocalrunError, Problem, TaskExists, UsageError
from localrun.manager.payload import is_manual, redact_secrets
from localrun.server import request_body, schemas, views
from localrun.server.error_handlers import detail_of, log_failures, status_of
from localrun.server.responses import json_response
from localrun.server.routes.base import RawRoute, StrictRoute, json_body, responses
from localrun.server.state import ServerState, get_state
from localrun.server.task_system.project_tasks import ProjectTasks
from localrun.server.timestamps import now
from localrun.settings import Settings
from localrun.task.record import TaskRecord
from localrun.task.selection import TaskSelection
from localrun.task.states import TaskState
from localrun.task.store import RESERVED_IDS

router = APIRouter(route_class=StrictRoute, tags=["tasks"])

TaskId = Annotated[str, Path(description="The task id.", max_length=200)]


def _check_not_reserved(task_id: str) -> str:
    """Reject ids that are words of other paths, e.g. `/task/list`: such a task could not be read."""
    if task_id in RESERVED_IDS:
        raise ValueError(f"the task id {task_id!r} is reserved; choose another id")
    return task_id


NewTaskId = Annotated[
    str,
    Path(description="A new id.", pattern="^[A-Za-z0-9_-]{1,64}$", examples=["my-task-0001"]),
    AfterValidator(_check_not_reserved),
]

_CREATE_TIMEOUT = 2.0  # seconds between the creation of a task folder and its record
_CREATE_RESPONSES = responses(schemas.TaskCreated, 409, 503, 507)


async def create_task(request: Request) -> Response:
    """Create a task from any object, or a batch of tasks from a list in `task`.

    A task with a `bundle` or an `image` runs in a container. Other tasks are active until completed.
    """
    found = await request_body.read_submission(request)
    state = get_state(request)
    with log_failures(state.request_log, "task_creation", "Failed to create task"):
        if isinstance(found, schemas.Batch):
            return json_response(await _batch(state, found))
        with state.journal.batch():
            return _respond(state, await _create(state, str(uuid.uuid4()), found, "POST /task"))


router.add_api_route(
    "/task",
    create_task,
    methods=["POST"],
    route_class_override=RawRoute,
    summary="Create a task or a batch of tasks",
    responses=_CREATE_RESPONSES
    | {200: {"model": schemas.TaskCreated | schemas.BatchProcessed, "description": "Success."}},
    openapi_extra=json_body((schemas.Submission, schemas.Batch)),
)


@router.get("/task/list", summary="List tasks", responses=responses(schemas.TaskList, 404))
async def list_tasks(request: Request, selection: Annotated[schemas.TaskFilter, Query()]) -> Response:
    """List tasks in order of creation, by default the active ones.

    Of the ended tasks, the last thousand are listed (`keep_completed`). Older ones can be read by id.
    """
    state = get_state(request)
    with log_failures(state.request_log, "task_list", "Failed to get task list"):
        if state.project_tasks is not None and selection.state == "active":
            return json_response(_project_listing(state.project_tasks, selection))
        found = _selected(state, selection.state)
        if selection.assigned_by is not None:
            found = [record for record in found if record.assigned_by == selection.assigned_by]
        if selection.metadata is not None:
            wanted = TaskSelection(metadata_texts=(selection.metadata,))
            found = list(filter(wanted.matches, found))
        if selection.after is not None:
            found = _after(found, selection.after)
        more = selection.limit is not None and len(found) > selection.limit
        return json_response(_listing(found[: selection.limit], more=more))


@router.put(
    "/task/{task_id}",
    summary="Create a task with a client-chosen id",
    responses=_CREATE_RESPONSES,
    openapi_extra=json_body(schemas.Submission),
)
async def put_task(request: Request, task_id: NewTaskId) -> Response:
    """Create a task like `POST /task`. The request can be repeated: the same task is not created twice."""
    found = request_body.validate(await request_body.read_json(request), schemas.Submission)
    state = get_state(request)
    with log_failures(state.request_log, "task_creation", "Failed to create task"):
        found = _never_reused(found, state.app.settings)
        async with state.task_locks.setdefault(task_id, asyncio.Lock()):
            return _respond(state, await _create_once(state, task_id, found))


def _never_reused(found: schemas.Submission, settings: Settings) -> schemas.Submission:
    """Return a task that runs whatever the settings say. Raises `UsageError` if it says otherwise itself."""
    if found.task.get("reuse"):
        problem = Problem("reuse", "a task with an id of your own always runs", "use POST /task, or omit it")
        raise UsageError("invalid task (1 problem)", remedy=problem.remedy, problems=[problem])
    if is_manual(found.task) or "reuse" not in settings.defaults.run:
        return found
    return found.model_copy(update={"task": {**found.task, "reuse": False}})


async def _create_once(state: ServerState, task_id: str, found: schemas.Submission) -> dict[str, Any]:
    """Return the existing task if it is the same, or else create it."""
    known = state.app.manager.find_task(task_id)
    if known is not None and _is_same(known, found):
        return views.summary(known)
    try:
        with state.journal.batch():
            return await _create(state, task_id, found, f"PUT /task/{task_id}")
    except TaskExists:
        made = await _wait_for_record(state, task_id)
        if made is None or not _is_same(made, found):
            raise
        return views.summary(made)


def _is_same(known: TaskRecord, found: schemas.Submission) -> bool:
    # values of secrets are not stored
    return (known.submitted, known.assigned_by) == (redact_secrets(found.task), found.assigned_by)


async def _wait_for_record(state: ServerState, task_id: str) -> TaskRecord | None:
    """Wait for the record of a task that another server of this folder is creating."""
    end = time.monotonic() + _CREATE_TIMEOUT
    while (found := state.app.manager.find_task(task_id)) is None:
        if time.monotonic() > end or state.app.store.find(task_id) is None:
            return None
        await anyio.sleep(0.02)
    return found


async def _create(
    state: ServerState, task_id: str, found: schemas.Submission, endpoint: str
) -> dict[str, Any]:
    """Create a task and return its summary."""
    task, assigned_by, log = found.task, found.assigned_by, state.request_log
    log.log_task_request(task_id, task, assigned_by, endpoint)
    if state.project_tasks is not None:
        made = await state.project_tasks.create(task_id, found)
    else:
        created = await state.create(task_id, task, assigned_by)
        made = views.summary(created.record) | ({"reused": True} if created.reused else {})
        if created.not_reused:
            made["not_reused"] = list(created.not_reused)
    log.log_call("create_task", task_id, state.active_count, task_data=task, assigned_by=assigned_by)
    return made


def _respond(state: ServerState, made: dict[str, Any]) -> Response:
    # not the `status` text: it is the name of an event, and users count events by name
    state.request_log.log_response("create_task", 200, made["task_id"], assigned_by=made["assigned_by"])
    shown = {key: made[key] for key in ("task_id", "timestamp", "assigned_by", "task")}
    message = f"Task {made['task_id']} created and added to global task list"
    if made.get("not_reused"):
        shown["not_reused"] = made["not_reused"]
    if made.get("reused"):
        shown["reused"] = True
        message = f"The result of task {made['task_id']} is reused; no task was created"
    created = {"status": "task_created", **shown, "message": message}
    return json_response({**created, "state": made.get("state", TaskState.CREATED)})


async def _batch(state: ServerState, found: schemas.Batch) -> dict[str, Any]:
    batch_id = str(uuid.uuid4())
    made, failed = [], []
    for index, task in enumerate(found.task):
        try:
            one = schemas.Submission(task=task, assigned_by=found.assigned_by)
            shown = await _create(state, str(uuid.uuid4()), one, "POST /task")
        except LocalrunError as error:
            status = status_of(error)
            detail = detail_of(error, status)
            state.request_log.log_rejection("POST", f"/task#{index}", status, detail)
            failed.append({"task_index": index, "task_data": task, "error": detail})
        else:
            keys = ("task_id", "timestamp", *(["reused"] if "reused" in shown else []))
            made.append({"task": task, **{key: shown[key] for key in keys}})
    counts: dict[str, Any] = {"created": len(made), "failed": len(failed)}
    state.request_log.log_response("create_batch_tasks", 200, batch_id=batch_id, **counts)
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


def _selected(state: ServerState, selected: schemas.StateFilter) -> list[TaskRecord]:
    manager = state.app.manager
    if selected == "active":
        return manager.active_tasks
    ended = [record for record in manager.completed_tasks if selected in ("ended", "all", record.state)]
    active = [record for record in manager.active_tasks if selected in ("all", record.state)]
    return sorted([*ended, *active], key=lambda record: record.created)


def _project_listing(tasks: ProjectTasks, selection: schemas.TaskFilter) -> dict[str, Any]:
    found = tasks.active()
    if selection.assigned_by is not None:
        found = [task for task in found if task["assigned_by"] == selection.assigned_by]
    if selection.after is not None:
        ids = [task["task_id"] for task in found]
        found = found[_index_of(ids, selection.after) + 1 :]
    more = selection.limit is not None and len(found) > selection.limit
    return _list_response(found[: selection.limit], [], more=more)


def _after(records: list[TaskRecord], task_id: str) -> list[TaskRecord]:
    return records[_index_of([record.id for record in records], task_id) + 1 :]


def _index_of(ids: list[str], task_id: str) -> int:
    if task_id not in ids:
        raise HTTPException(404, f"Task {task_id} not found in this list")
    return ids.index(task_id)


def _listing(records: list[TaskRecord], *, more: bool) -> dict[str, Any]:
    active = [views.summary(record) for record in records if not record.state.is_final]
    ended = [views.summary(record) for record in records if record.state.is_final]
    return _list_response(active, ended, more=more)


def _list_response(active: list[Any], ended: list[Any], *, more: bool) -> dict[str, Any]:
    return {
        "status": "success",
        "active_tasks_count": len(active),
        "active_tasks": active,
        "completed_tasks_count": len(ended),
        "completed_tasks": ended,
        "next": [*active, *ended][-1]["task_id"] if more else None,
        "timestamp": now(),
    }


@router.get("/task/status", summary="Get task counts and engine status", responses=responses(schemas.Status))
async def get_status(request: Request) -> Response:
    """Return the numbers of tasks and whether the container engine answers."""
    state = get_state(request)
    with log_failures(state.request_log, "task_status", "Failed to get status"):
        state.app.manager.refresh()
        project = state.project_tasks
        own = {**state.app.manager.get_status(), **state.phase_counts()}
        counts = own if project is None else project.status()
        return json_response(
            {
                "status": "operational",
                "task_manager": counts,
                "engine": await anyio.to_thread.run_sync(state.engine_status),
                "timestamp": now(),
            }
        )


@router.get("/task/{task_id}", summary="Get a task", responses=responses(schemas.TaskResponse, 404))
async def get_task(request: Request, task_id: TaskId) -> Response:
    """Return all details of a task, also after it has ended."""
    state = get_state(request)
    with log_failures(state.request_log, "task_get", "Failed to get task"):
        if state.project_tasks is not None:
            found = state.project_tasks.get(task_id)
            if found is None:
                raise HTTPException(404, f"Task {task_id} not found")
            return json_response({"status": "success", "task": found, "timestamp": now()})
        record = state.get_record(task_id)
        return json_response(views.task_response(record, state.waiting_reason(record)))
