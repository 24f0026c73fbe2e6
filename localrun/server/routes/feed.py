"""The events of all tasks, and the journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localrun.server.feed.event_feed import EventFeed, FeedEntry
from localrun.server.page import models
from localrun.server.rejection import Rejection
from localrun.server.responses import SAFE_HEADERS, json_response
from localrun.server.routes.base import StrictRoute, responses
from localrun.server.state import ServerState, get_state

router = APIRouter(route_class=StrictRoute, tags=["watching"])

_KEEPALIVE = 15.0  # seconds without an event after which a comment is sent
_MAX_ID = 100  # characters

EventId = Annotated[
    str | None, Query(max_length=_MAX_ID, description="The last received id; the stream starts after it.")
]


@router.get(
    "/events",
    summary="Stream the events of all tasks (server-sent events)",
    responses=responses(None, 503, media="text/event-stream"),
)
async def get_all_events(
    request: Request,
    after: EventId = None,
    journal: Annotated[bool, Query(description="Also send the lines of the journal.")] = False,
    last_event_id: Annotated[str | None, Header(max_length=_MAX_ID, description="As `after`.")] = None,
) -> Response:
    """Stream what happens to all tasks of the folder from now on, or from the event `after`.

    The first event is `hello`. A `reset` says that events are missing: load the lists again, and go on.
    Events of the kinds `state`, `step` and `warning` have the row of the task, as in `GET /tasks`.
    """
    state = get_state(request)
    if state.feed.is_full:
        raise Rejection(503, "Too many clients read the events", "close other pages of this server")
    await anyio.to_thread.run_sync(state.follower.touch)
    stream = _stream(state, last_event_id or after, journal=journal)
    return StreamingResponse(stream, 200, SAFE_HEADERS, "text/event-stream")


async def _stream(state: ServerState, after: str | None, *, journal: bool) -> AsyncIterator[bytes]:
    feed = state.feed
    with feed.reading() as changed:
        number = feed.last_number if after is None else feed.parse_id(after)
        yield b"retry: 1000\n\n"
        if number is None:
            number = feed.last_number
            yield _hello(feed, number)
            yield _reset(feed, number, "the id is not known here")
        else:
            yield _hello(feed, number)
        while not state.broadcaster.is_closing:
            changed.clear()
            entries = feed.after(number)
            if entries is None:
                number = feed.last_number
                yield _reset(feed, number, "events are missing")
            elif entries:
                number = entries[-1].number
                if text := b"".join(
                    _format(feed, entry) for entry in entries if journal or not entry.is_journal
                ):
                    yield text
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _KEEPALIVE)
                    continue
                yield b": keepalive\n\n"


def _format(feed: EventFeed, entry: FeedEntry) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        feed.format_id(entry.number).encode(),
        entry.kind.encode(),
        entry.data,
    )


def _event(feed: EventFeed, number: int, kind: str, data: dict[str, Any]) -> bytes:
    return _format(feed, FeedEntry(number, kind, lambda: data, is_journal=False))


def _hello(feed: EventFeed, number: int) -> bytes:
    return _event(feed, number, "hello", {"server": feed.server, "time": time.time()})


def _reset(feed: EventFeed, number: int, reason: str) -> bytes:
    return _event(feed, number, "reset", {"reason": reason})


@router.get("/journal", summary="Get the last lines of the journal", responses=responses(models.JournalLines))
async def get_journal_lines(request: Request, query: Annotated[models.JournalQuery, Query()]) -> Response:
    """Return lines of the journal, the newest first. `next` continues with older ones, as `before`."""
    journal = get_state(request).journal

    def read() -> tuple[list[dict[str, Any]], str | None]:
        return journal.read_back(
            before=query.before, limit=query.limit, task_id=query.task, event_type=query.type
        )

    lines, position = await anyio.to_thread.run_sync(read)
    return json_response({"lines": lines, "next": position})
