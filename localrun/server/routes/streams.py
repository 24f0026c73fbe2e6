"""The events of a task as a live stream."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localrun.server import file_stream
from localrun.server.broadcast import Subscription
from localrun.server.responses import SAFE_HEADERS
from localrun.server.routes.base import StrictRoute, responses
from localrun.server.routes.tasks import TaskId
from localrun.server.state import ServerState, get_state
from localrun.task.events import Event
from localrun.task.states import TaskState
from localrun.undecodable import encode_json

router = APIRouter(route_class=StrictRoute, tags=["watching"])

_KEEPALIVE = 15.0  # seconds without an event after which a comment is sent


@router.get(
    "/task/{task_id}/events",
    summary="Stream task events (server-sent events)",
    responses=responses(None, 404, media="text/event-stream"),
)
async def get_events(
    request: Request,
    task_id: TaskId,
    last_event_id: Annotated[
        int, Header(ge=0, description="The last received id; the stream starts after it.")
    ] = 0,
) -> Response:
    """Stream all past events of a task, then new ones until it has ended.

    Each event has an id, except `progress`, which is sent once and not stored.
    """
    state = get_state(request)
    state.get_record(task_id)
    events = _events(state, task_id, last_event_id)
    return StreamingResponse(events, 200, SAFE_HEADERS, "text/event-stream")


async def _events(state: ServerState, task_id: str, last: int) -> AsyncIterator[bytes]:
    workspace = state.app.store.open(task_id)
    path = workspace.events
    last_sent = time.monotonic()
    yield b"retry: 1000\n\n"
    has_end = False
    with state.broadcaster.subscribe(task_id, workspace.path) as subscription:

        def ended() -> bool:
            # the record says that the task has ended shortly before its last event is stored
            subscription.polls = state.is_ended(task_id) and not has_end
            return state.is_ended(task_id) and (has_end or not state.app.store.is_owned(task_id))

        async for number, line in file_stream.follow_lines(path, state.broadcaster, subscription, ended):
            has_end = has_end or _is_end(line)
            text = b"".join(_transient(subscription))
            text += _stored(number, line) if number > last else b""
            if not text and time.monotonic() - last_sent > _KEEPALIVE:
                text = b": keepalive\n\n"
            if text:
                last_sent = time.monotonic()
                yield text


def _is_end(line: bytes) -> bool:
    try:
        event = json.loads(line) if b'"state"' in line else {}
        return event["kind"] == "state" and TaskState(event["data"]["state"]).is_final
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _stored(number: int, line: bytes) -> bytes:
    try:
        kind = json.loads(line)["kind"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, str(kind).encode(errors="replace"), line)


def _transient(subscription: Subscription) -> list[bytes]:
    found = []
    while subscription.transient_events:
        found.append(b"event: progress\ndata: " + _as_json(subscription.transient_events.popleft()) + b"\n\n")
    return found


def _as_json(event: Event) -> bytes:
    content: dict[str, Any] = {name: getattr(event, name) for name in Event.__struct_fields__}
    return encode_json(content)
