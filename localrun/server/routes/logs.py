"""The logs of tasks: as text, in pages, and as live streams."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localrun.server import file_stream
from localrun.server.logs.pages import MAX_LINES, Start
from localrun.server.page import models
from localrun.server.responses import SAFE_HEADERS, json_response
from localrun.server.routes.base import StrictRoute, responses
from localrun.server.routes.tasks import TaskId
from localrun.server.state import ServerState, get_state
from localrun.undecodable import encode_json

router = APIRouter(route_class=StrictRoute, tags=["watching"])

_KEEPALIVE = 15.0  # seconds without output after which a comment is sent
_LIMITS = {"json": 1000, "find": 200, "events": MAX_LINES}


@router.get(
    "/task/{task_id}/logs",
    summary="Get task logs",
    responses=responses(None, 404, media="text/plain")
    | {
        200: {
            "description": "The output as text, as a page of lines, or as a stream of pages.",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/json": {"schema": {"$ref": "#/components/schemas/LogPage"}},
                "text/event-stream": {"schema": {"type": "object"}},
            },
        }
    },
)
async def get_logs(
    request: Request,
    task_id: TaskId,
    query: Annotated[models.LogQuery, Query()],
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,15}$", description="As `from`.")] = None,
) -> Response:
    """Return the standard output and error of the program.

    As `text`, the whole log, from a byte on, or its last lines. As `json`, one page of lines with numbers,
    offsets, streams and times, or with `find` the lines that contain a text. As `events`, server-sent events:
    pages of lines as they are written, and `end` after the end of the task.
    """
    state = get_state(request)
    state.get_record(task_id)
    path = state.app.store.open(task_id).log
    start = Start(query.line, query.start, query.tail)
    if query.format == "events":
        if last_event_id is not None:
            start = Start(byte=int(last_event_id))
        stream = _stream(state, task_id, start, query.limit or _LIMITS["events"])
        return StreamingResponse(stream, 200, SAFE_HEADERS, "text/event-stream")
    run = anyio.to_thread.run_sync
    if query.format == "json" and (query.find or query.stream):
        limit, first = query.limit or _LIMITS["find"], query.start or 0
        return json_response(await run(state.logs.find, path, query.find, first, limit, query.stream))
    if query.format == "json":
        is_ended = state.is_ended(task_id)  # before the log is read
        page = await run(state.logs.page, path, start, query.limit or _LIMITS["json"])
        return json_response({**page, "complete": is_ended and page["end"]["byte"] >= page["size"]})
    offset = await run(_offset, state, task_id, start)
    size = path.stat().st_size if path.exists() else 0
    headers = {**SAFE_HEADERS, "X-Log-Start": str(offset), "X-Log-Size": str(size)}
    content = _text(state, task_id, offset, follow=query.follow)
    return StreamingResponse(content, 200, headers, "text/plain; charset=utf-8")


def _offset(state: ServerState, task_id: str, start: Start) -> int:
    path = state.app.store.open(task_id).log
    if start.tail is not None:
        return state.logs.tail_offset(path, start.tail)
    if start.line is not None:
        return int(state.logs.page(path, start, 1)["start"]["byte"])
    return start.byte or 0


async def _text(state: ServerState, task_id: str, offset: int, *, follow: bool) -> AsyncIterator[bytes]:
    workspace = state.app.store.open(task_id)
    path = workspace.log
    with state.broadcaster.subscribe(task_id, workspace.path, workspace.logs) as subscription:

        def ended() -> bool:
            return not follow or state.is_ended(task_id)

        async for chunk in file_stream.follow(path, state.broadcaster, subscription, ended, offset):
            if chunk:
                yield chunk


async def _stream(state: ServerState, task_id: str, start: Start, limit: int) -> AsyncIterator[bytes]:
    workspace, last_sent = state.app.store.open(task_id), time.monotonic()
    path = workspace.log
    yield b"retry: 1000\n\n"
    with state.broadcaster.subscribe(task_id, workspace.path, workspace.logs) as subscription:
        while True:
            is_last = state.is_ended(task_id) or state.broadcaster.is_closing  # before reading
            whole = not is_last
            page = await anyio.to_thread.run_sync(_read_page, state, path, start, limit, whole)
            end = page["end"]["byte"]
            if page["entries"]:
                last_sent, start = time.monotonic(), Start(byte=end)
                yield _event("lines", end, page)
            elif is_last:
                yield _event("end", end, {"size": page["size"]})
                return
            else:
                if time.monotonic() - last_sent > _KEEPALIVE:
                    last_sent = time.monotonic()
                    yield b": keepalive\n\n"
                start = Start(byte=end)
                await subscription.wait()


def _read_page(state: ServerState, path: Any, start: Start, limit: int, whole: bool) -> dict[str, Any]:
    return state.logs.page(path, start, limit, whole_lines=whole)


def _event(kind: str, number: int, data: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, kind.encode(), encode_json(data))
