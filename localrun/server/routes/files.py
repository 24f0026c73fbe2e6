"""Upload inputs and download outputs of tasks."""

from __future__ import annotations

import asyncio
from pathlib import Path as FilePath
from typing import Annotated, BinaryIO

import anyio.from_thread
import anyio.to_thread
from fastapi import APIRouter, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun import fs
from localrun.platforms import profiles
from localrun.report.details.parameters import mounted_file
from localrun.server import file_response, schemas, uploads, views
from localrun.server.error_handlers import log_failures
from localrun.server.rejection import Rejection
from localrun.server.responses import json_response
from localrun.server.routes.base import BINARY, StrictRoute, raw_body, responses
from localrun.server.routes.tasks import TaskId
from localrun.server.state import get_state
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.values.untrusted import UnsafePath

router = APIRouter(route_class=StrictRoute, tags=["files"])

MAX_ITEMS = 10_000  # of an array that is uploaded

Name = Annotated[str, Path(description="The name of a parameter.", max_length=200)]


_DOWNLOADS = responses(None, 404, 409, 416, media="application/octet-stream") | {
    200: {
        "description": "The file, or the names in a folder.",
        "content": {**BINARY, "application/json": {"schema": {"type": "object"}}},
    },
    206: {"description": "The requested range of the file.", "content": BINARY},
}


@router.put(
    "/task/{task_id}/inputs/{name}",
    summary="Upload an input",
    responses=responses(schemas.TaskResponse, 404, 409, 503, 507),
    openapi_extra=raw_body("The content of the file, or the value as text."),
)
async def put_input(request: Request, task_id: TaskId, name: Name) -> Response:
    """Upload one input. The task starts when all inputs are present."""
    state = get_state(request)
    with log_failures(state.request_log, "put_input", "Failed to store input"):
        state.get_record(task_id)
        manager = state.app.manager
        with manager.receive_input(task_id, name) as path:
            await uploads.receive(request, path, state.app.settings.disk_stop)
            record = await anyio.to_thread.run_sync(manager.store_input, task_id, name, path)
        state.request_log.log_call("put_input", task_id, state.active_count, input=name)
        state.request_log.log_response("put_input", 200, task_id, state=str(record.state))
        return json_response(views.task_response(record, state.waiting_reason(record)))


@router.put(
    "/task/{task_id}/inputs/{name}/{index}",
    summary="Upload one item of an input",
    responses=responses(schemas.TaskResponse, 404, 409, 503, 507),
    openapi_extra=raw_body("The content of the file."),
)
async def put_item(
    request: Request,
    task_id: TaskId,
    name: Name,
    index: Annotated[int, Path(ge=0, lt=MAX_ITEMS, description="The index of the item, from 0.")],
    of: Annotated[int, Query(ge=1, le=MAX_ITEMS, description="The number of items of the input.")],
) -> Response:
    """Upload a file of an array. The input is stored when all of its items are present, in any order."""
    if index >= of:
        raise Rejection(409, f"Item {index} is not one of {of} items", "count the items from 0")
    state = get_state(request)
    with log_failures(state.request_log, "put_input", "Failed to store input"):
        record = state.get_record(task_id)
        items = state.app.manager.items_folder(task_id, name)
        with state.app.manager.receive_input(task_id, name) as path:
            await uploads.receive(request, path, state.app.settings.disk_stop)
            async with state.task_locks.setdefault(task_id, asyncio.Lock()):
                path.replace(items / str(index))
                if {entry.name for entry in items.iterdir()} >= set(map(str, range(of))):
                    store = state.app.manager.store_input
                    record = await anyio.to_thread.run_sync(store, task_id, name, items)
        state.request_log.log_call("put_input", task_id, state.active_count, input=f"{name}/{index}")
        state.request_log.log_response("put_input", 200, task_id, state=str(record.state))
        return json_response(views.task_response(record, state.waiting_reason(record)))


@router.get(
    "/task/{task_id}/outputs",
    summary="Get the outputs of a task",
    responses=responses(schemas.Outputs, 404, 409),
)
async def get_outputs(request: Request, task_id: TaskId) -> Response:
    """Return the values of the outputs of an ended task, and in `files` the download path of each.

    For a failed task, these are the outputs that it left, with the reason of the failure.
    """
    record = get_state(request).get_record(task_id)
    check_ended(record)
    names = profiles.for_record(record).downloads(record)
    return json_response(
        {
            "task_id": record.id,
            "state": record.state,
            "cause": record.cause,
            "message": record.message,
            "outputs": record.outputs,
            "result": record.result,
            "problems": record.problems,
            "files": {name: f"/task/{record.id}/outputs/{name}" for name in names},
        }
    )


@router.get(
    "/task/{task_id}/outputs/{name:path}",
    summary="Download an output",
    responses=_DOWNLOADS,
)
async def get_output(request: Request, task_id: TaskId, name: Name) -> Response:
    """Return the file of an output or a range of it. For an array, return the names in its folder."""
    state = get_state(request)
    record = state.get_record(task_id)
    check_ended(record)
    folder, path = profiles.for_record(record).locate(state.app.store.open(record.id), name)
    opened = await _open(record, folder, path, name, record.run_plan.output_folder)
    if opened is None:
        raise Rejection(404, f"Task {task_id} has no output {name!r}", _hint(record), state=record.state)
    return _deliver(request, record, name, opened)


async def _open(
    record: TaskRecord, folder: FilePath, path: str, name: str, inside: str
) -> BinaryIO | list[str] | None:
    try:
        return await anyio.to_thread.run_sync(file_response.open_output, folder, path, inside)
    except UnsafePath as error:
        raise HTTPException(404, f"{name!r} of task {record.id} is not delivered: {error}") from error


def _deliver(request: Request, record: TaskRecord, name: str, opened: BinaryIO | list[str]) -> Response:
    if isinstance(opened, list):
        return json_response({"task_id": record.id, "name": name, "entries": opened})
    headers = request.headers
    sent = file_response.prepare_download(opened, name, headers.get("range"), headers.get("if-range"))
    return sent.response()


@router.get(
    "/task/{task_id}/inputs/{name:path}",
    summary="Download an input",
    responses=_DOWNLOADS,
)
async def get_input(request: Request, task_id: TaskId, name: Name) -> Response:
    """Return the file of an input or a range of it. For an array, return the names in its folder.

    Inputs that are values are files as well, as the program reads them.
    """
    state = get_state(request)
    record = state.get_record(task_id)
    workspace = state.app.store.open(record.id)
    mounted = mounted_file(record, name)
    opened: BinaryIO | list[str] | None = None
    if mounted is not None:  # the user's file; the folder of the task has a placeholder or a link
        opened = await anyio.to_thread.run_sync(_open_mounted, mounted)
    else:
        is_waiting = record.missing and not record.run_plan.held
        place = workspace.uploads if is_waiting else workspace.inputs
        opened = await _open(record, place, name, name, record.run_plan.input_folder)
    if opened is None:
        hint = f"waiting for {record.waiting_for}" if record.waiting_for else ""
        raise Rejection(404, f"Task {task_id} has no file of the input {name!r}", hint, state=record.state)
    return _deliver(request, record, name, opened)


def _open_mounted(path: FilePath) -> BinaryIO | None:
    try:
        return fs.open_regular(path)
    except OSError:
        return None


def check_ended(record: TaskRecord) -> None:
    """Raise `Rejection` 409 if there are no outputs yet."""
    if record.state.is_final:
        return
    hint = f"wait for it with GET /task/{record.id}/wait"
    if record.run_plan.held:
        hint = f"waiting for {record.waiting_for} with App Engine's API"
    elif record.missing:
        hint = f"waiting for {record.waiting_for}; send each with PUT /task/{record.id}/inputs/NAME"
    elif record.kind == "manual":
        hint = f"complete it with POST /task/{record.id}/complete"
    detail = f"Task {record.id} has not ended (state {record.state})"
    raise Rejection(409, detail, hint, state=record.state)


def _hint(record: TaskRecord) -> str:
    """Return why an ended task lacks an output."""
    if record.state is not TaskState.FINISHED:
        return f"the task is {record.state}: {record.message}"
    names = profiles.for_record(record).downloads(record)
    return f"its outputs are: {', '.join(names)}" if names else "it has no outputs"
