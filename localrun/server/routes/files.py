"""Tasks: inputs that are sent, outputs that are fetched."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any, BinaryIO

import anyio
import anyio.from_thread
import anyio.to_thread
from fastapi import APIRouter, Path
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localrun.platforms import profiles
from localrun.server import file_response, ranges, schemas, views
from localrun.server.error_handlers import log_failures
from localrun.server.responses import json_response, now
from localrun.server.routes.base import raw_body, responses
from localrun.server.routes.tasks import TaskId
from localrun.server.state import get_state
from localrun.task.record import TaskRecord

router = APIRouter(tags=["files"])

_BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_AT_ONCE = 32  # uploads; each holds a thread while its sender takes its time

Name = Annotated[str, Path(description="The name of a parameter.", max_length=200)]


async def run_with_body(request: Request, take: Any) -> Any:
    """Call `take` with the body in pieces, in a thread; a body of any size is never in memory."""
    stream = request.stream()
    limiter = request.app.state.uploads
    return await anyio.to_thread.run_sync(lambda: take(_pieces(stream)), limiter=limiter)


def _pieces(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    while True:
        try:
            yield anyio.from_thread.run(_next, stream)
        except StopAsyncIteration:
            return


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    return await anext(stream)


def new_upload_limiter() -> anyio.CapacityLimiter:
    """How many uploads there may be at once."""
    return anyio.CapacityLimiter(_AT_ONCE)


@router.put(
    "/task/{task_id}/inputs/{name}",
    summary="Send an input",
    responses=responses(schemas.TaskResponse, 404, 409, 503, 507),
    openapi_extra=raw_body("The content of the file, or the text of the value."),
)
async def put_input(request: Request, task_id: TaskId, name: Name) -> Response:
    """Send the content of one input. The task starts when none is missing any more."""
    site = get_state(request)
    with log_failures(site.request_log, "put_input", "Failed to take input"):
        site.get_record(task_id)
        manager = site.app.manager
        record: TaskRecord = await run_with_body(
            request, lambda pieces: manager.put_input(task_id, name, pieces)
        )
        site.request_log.log_call("put_input", task_id, site.active_count, input=name)
        site.request_log.log_response("put_input", 200, task_id, state=str(record.state))
        shown = views.details(record, site.waiting_reason(record))
        return json_response({"status": "success", "task": shown, "timestamp": now()})


@router.get(
    "/task/{task_id}/outputs", summary="Show the outputs of a task", responses=responses(schemas.Outputs, 404)
)
async def get_outputs(request: Request, task_id: TaskId) -> Response:
    """The values of the outputs; `files` says where each can be downloaded."""
    record = get_state(request).get_record(task_id)
    files = {
        name: f"/task/{record.id}/outputs/{name}" for name in profiles.for_record(record).downloads(record)
    }
    return json_response(
        {
            "task_id": record.id,
            "state": record.state,
            "outputs": record.outputs,
            "result": record.result,
            "problems": record.problems,
            "files": files,
        }
    )


@router.get(
    "/task/{task_id}/outputs/{name:path}",
    summary="Download an output",
    responses=responses(None, 404, 409, 416, media="application/octet-stream")
    | {
        200: {
            "description": "The file; for a folder the names in it.",
            "content": {**_BYTES, "application/json": {"schema": {"type": "object"}}},
        },
        206: {"description": "The part that the header Range asks for.", "content": _BYTES},
    },
)
async def get_output(request: Request, task_id: TaskId, name: Name) -> Response:
    """The file of an output, as the task wrote it, or the part of it that `Range` names.

    Of an array (a folder) the names in it.
    """
    site = get_state(request)
    record = site.get_record(task_id)
    if not record.state.is_final:
        raise HTTPException(409, f"Task {task_id} has not ended: it is {record.state}")
    folder, place = profiles.for_record(record).locate(site.app.store.open(record.id), name)
    found = await anyio.to_thread.run_sync(file_response.open_output, folder, place)
    if found is None:
        raise HTTPException(404, f"Task {task_id} has no output {name!r}")
    if isinstance(found, list):
        return json_response({"task_id": record.id, "name": name, "entries": found})
    return _send(found, name, request.headers)


def _send(stream: BinaryIO, name: str, asked: Mapping[str, str]) -> Response:
    size = os.fstat(stream.fileno()).st_size
    try:
        sent = file_response.prepare_download(stream, name, asked.get("range"), asked.get("if-range"))
    except ranges.RangeNotSatisfiable as error:
        raise HTTPException(
            416, f"The file has {size} bytes", headers={"Content-Range": f"bytes */{size}"}
        ) from error
    except ranges.MalformedRange as error:
        raise HTTPException(400, "Range is written as `bytes=FIRST-LAST`, counted from 0") from error
    return StreamingResponse(sent.chunks(), sent.status, sent.headers, "application/octet-stream")
