"""Tasks: what they write, and what happens to them, as it happens."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localrun.server import file_stream
from localrun.server.broadcast import Subscription
from localrun.server.routes.base import responses
from localrun.server.routes.tasks import TaskId
from localrun.server.state import ServerState, get_state
from localrun.task.events import Event

router = APIRouter(tags=["watching"])

_ALIVE = 15.0  # seconds after which a silent stream says that it is there
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


@router.get(
    "/task/{task_id}/logs",
    summary="Show what a task wrote",
    responses=responses(None, 404, media="text/plain"),
)
async def get_logs(
    request: Request,
    task_id: TaskId,
    follow: Annotated[bool, Query(description="Go on until the task has ended.")] = False,
) -> Response:
    """What the program wrote on its standard output and error, as it is."""
    site = get_state(request)
    site.get_record(task_id)
    return StreamingResponse(
        _log(site, task_id, follow=follow), media_type="text/plain; charset=utf-8", headers=_SAFE
    )


async def _log(site: ServerState, task_id: str, *, follow: bool) -> AsyncIterator[bytes]:
    path = site.app.store.open(task_id).log
    with site.broadcaster.subscribe(task_id) as watcher:

        def ended() -> bool:
            return not follow or site.is_ended(task_id)

        async for piece in file_stream.follow(path, site.broadcaster, watcher, ended):
            if piece:
                yield piece


@router.get(
    "/task/{task_id}/events",
    summary="Hear what happens to a task",
    responses=responses(None, 404, media="text/event-stream"),
)
async def get_events(
    request: Request,
    task_id: TaskId,
    last_event_id: Annotated[
        int, Header(ge=0, description="The last one that was received: the stream goes on after it.")
    ] = 0,
) -> Response:
    """Server-sent events: all that happened to the task, then what happens, until its end.

    Each has a number, but `progress`, which is told once and not kept.
    """
    site = get_state(request)
    site.get_record(task_id)
    return StreamingResponse(
        _events(site, task_id, last_event_id), media_type="text/event-stream", headers=_SAFE
    )


async def _events(site: ServerState, task_id: str, last: int) -> AsyncIterator[bytes]:
    path = site.app.store.open(task_id).path / "events.jsonl"
    spoken = time.monotonic()
    yield b"retry: 1000\n\n"
    with site.broadcaster.subscribe(task_id) as watcher:

        def ended() -> bool:
            return site.is_ended(task_id)

        async for number, line in file_stream.follow_lines(path, site.broadcaster, watcher, ended):
            text = b"".join(_passing(watcher))
            text += _kept(number, line) if number > last else b""
            if not text and time.monotonic() - spoken > _ALIVE:
                text = b": still here\n\n"
            if text:
                spoken = time.monotonic()
                yield text


def _kept(number: int, line: bytes) -> bytes:
    try:
        kind = json.loads(line)["kind"]
    except (ValueError, KeyError, TypeError):
        return b""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, str(kind).encode(), line)


def _passing(watcher: Subscription) -> list[bytes]:
    found = []
    while watcher.transient_events:
        found.append(b"event: progress\ndata: " + _as_json(watcher.transient_events.popleft()) + b"\n\n")
    return found


def _as_json(event: Event) -> bytes:
    content: dict[str, Any] = {name: getattr(event, name) for name in Event.__struct_fields__}
    return json.dumps(content, ensure_ascii=False, default=str).encode()
