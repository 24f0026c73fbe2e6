"""Create batches, follow and stop them, and read their results."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun import fs
from localrun.batch.store import BatchRecord
from localrun.errors import TaskExists
from localrun.server import request_body
from localrun.server.batches import models
from localrun.server.batches.rows import RowSelection, select_rows
from localrun.server.error_handlers import log_failures
from localrun.server.file_response import prepare_download
from localrun.server.listing.index import IndexedTask
from localrun.server.responses import json_response
from localrun.server.routes.base import Grace, StrictRoute, json_body, responses
from localrun.server.state import ServerState, get_state
from localrun.server.timestamps import now

router = APIRouter(route_class=StrictRoute, tags=["batches"])

_MAX_WAIT = 300.0  # seconds; most proxies time out earlier
_LOOK = 1.0  # seconds between two looks at a batch of another process
_MOST_LISTED = 1000

BatchId = Annotated[str, Path(description="The batch id.", max_length=200)]
NewBatchId = Annotated[
    str, Path(description="A new id.", pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", examples=["nightly-0001"])
]
_CREATED = responses(models.BatchResponse, 404, 409, 503, 507)


@router.post(
    "/batch",
    summary="Run a bundle for many rows of inputs",
    responses=_CREATED,
    openapi_extra=json_body(models.DocumentedBatch),
)
async def create_batch(request: Request) -> Response:
    """Check all rows and start a batch, which continues after a restart of the server.

    If a row is invalid, nothing runs, and the response names all problems by row and column.
    """
    return await _create(request, str(uuid.uuid4()), await _read(request))


@router.put(
    "/batch/{batch_id}",
    summary="Create a batch with a client-chosen id",
    responses=_CREATED,
    openapi_extra=json_body(models.DocumentedBatch),
)
async def put_batch(request: Request, batch_id: NewBatchId) -> Response:
    """Create a batch like `POST /batch`. The request can be repeated: the same batch is not created twice."""
    state, found = get_state(request), await _read(request)
    async with state.task_locks.setdefault(f"batch/{batch_id}", asyncio.Lock()):
        known = state.batches.submission(batch_id)
        record = state.batches.store.load(batch_id)
        if known is None and record is not None and record.results:
            raise TaskExists(f"batch {batch_id} exists already", remedy="choose another id")
        if known is None or record is None:
            return await _create(request, batch_id, found)
        if known != found.model_dump(mode="json"):
            raise TaskExists(
                f"batch {batch_id} exists already, and is another one", remedy="choose another id"
            )
        return await _respond(state, record, "batch_created")


async def _read(request: Request) -> models.NewBatch:
    return request_body.validate(await request_body.read_json(request), models.NewBatch)


async def _create(request: Request, batch_id: str, found: models.NewBatch) -> Response:
    state = get_state(request)
    with log_failures(state.request_log, "batch_creation", "Failed to create batch"):
        record = await anyio.to_thread.run_sync(state.batches.create, batch_id, found)
    return await _respond(state, record, "batch_created")


@router.get("/batch", summary="List batches", responses=responses(models.BatchList))
async def list_batches(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED, description="Maximum number of batches.")] = 100,
) -> Response:
    """Return the batches of the folder, newest first, also those of the command line and of Python."""
    state = get_state(request)

    def read() -> dict[str, Any]:
        state.follower.touch()
        event_id = state.feed.last_id
        records = list(state.batches.store.newest_first())
        shown = [state.batches.fields(record) for record in records[:limit]]
        return {"status": "success", "batches": shown, "total": len(records), "event_id": event_id}

    return json_response({**await anyio.to_thread.run_sync(read), "timestamp": now()})


@router.get("/batch/{batch_id}", summary="Get a batch", responses=responses(models.BatchResponse, 404))
async def get_batch(request: Request, batch_id: BatchId) -> Response:
    """Return a batch with the numbers of its rows by state."""
    state = get_state(request)
    return await _respond(state, await _find(state, batch_id))


@router.get(
    "/batch/{batch_id}/wait", summary="Wait for a batch to end", responses=responses(models.WaitedBatch, 404)
)
async def wait_for_batch(
    request: Request,
    batch_id: BatchId,
    timeout: Annotated[float, Query(ge=0, le=_MAX_WAIT, description="Maximum time in seconds.")] = 30.0,
    after: Annotated[
        int | None, Query(ge=0, description="Also respond when more rows than this have ended.")
    ] = None,
) -> Response:
    """Respond when no row runs any more, or after `timeout` seconds with `ended` false."""
    state = get_state(request)
    end = time.monotonic() + timeout
    with state.feed.reading() as changed:
        while True:
            changed.clear()
            record = await _find(state, batch_id)
            fields = await anyio.to_thread.run_sync(state.batches.fields, record)
            left = end - time.monotonic()
            is_over = fields["state"] != "running"
            has_more = after is not None and sum(fields["counts"].values()) > after
            if is_over or has_more or left <= 0 or state.broadcaster.is_closing:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), min(left, _LOOK))
    return json_response({"status": "success", "batch": fields, "ended": is_over, "timestamp": now()})


@router.get(
    "/batch/{batch_id}/rows", summary="Get rows of a batch", responses=responses(models.BatchRows, 404)
)
async def get_rows(
    request: Request, batch_id: BatchId, query: Annotated[models.RowQuery, Query()]
) -> Response:
    """Return rows that have started, by default failed ones first, with short forms of their values.

    `GET /events?after=EVENT_ID` continues from this response without a gap.
    """
    state = get_state(request)
    record = await _find(state, batch_id)
    return json_response(await anyio.to_thread.run_sync(_rows, state, record, query))


def _rows(state: ServerState, record: BatchRecord, query: models.RowQuery) -> dict[str, Any]:
    state.follower.touch()
    event_id = state.feed.last_id
    tasks = [task for task in state.index.tasks() if _is_row_of(task, record)]
    folders = (state.app.store.tasks, *filter(None, (record.output, record.written_output)))
    selection = RowSelection(query.state, query.q, query.sort, query.offset, query.limit)
    index = state.result_indexes.of(state.batches.results(record))
    found = select_rows(index, tasks, selection, record.total, tuple(f"{folder}/" for folder in folders))
    shown = {row["task"] for row in found["rows"]}
    images = {
        row["id"]: row["image"]
        for row in state.index.complete(task for task in tasks if task.record.id in shown)
    }
    for row in found["rows"]:
        row["image"] = images.get(row["task"])
    return {
        **found,
        "total": record.total,
        "offset": query.offset,
        "event_id": event_id,
        "time": time.time(),
    }


def _is_row_of(task: IndexedTask, record: BatchRecord) -> bool:
    return task.record.batch is not None and task.record.batch.id == record.id


@router.get(
    "/batch/{batch_id}/results",
    summary="Download the results of a batch",
    responses=responses(None, 404, 416, media="application/x-ndjson"),
)
async def get_results(
    request: Request,
    batch_id: BatchId,
    format: Annotated[  # noqa: A002 - the name in the query
        Literal["jsonl", "csv"], Query(description="JSON Lines, or CSV with a column for each value.")
    ] = "jsonl",
) -> Response:
    """Return a line for each row that has ended, in the order of their ends.

    An interrupted download can be resumed with `Range`.
    """
    state = get_state(request)
    record = await _find(state, batch_id)
    path = state.batches.results(record).with_suffix(f".{format}")
    try:
        stream = fs.open_regular(path)
    except OSError:
        raise HTTPException(404, f"Batch {batch_id[:80]} has no results yet") from None
    name = f"{record.name or 'batch'}-{record.short_id}.{format}"
    headers = request.headers
    return prepare_download(stream, name, headers.get("range"), headers.get("if-range")).response()


@router.post(
    "/batch/{batch_id}/cancel",
    summary="Cancel a batch",
    responses=responses(models.BatchResponse, 404, 409, 503),
)
async def cancel_batch(
    request: Request,
    batch_id: BatchId,
    grace: Grace = None,
) -> Response:
    """Stop the rows that run and start no more; respond when none runs. The results so far stay."""
    state = get_state(request)
    record = await _find(state, batch_id)
    with log_failures(state.request_log, "cancel_batch", "Failed to cancel batch"):
        await anyio.to_thread.run_sync(state.batches.cancel, record, grace)
    return await _respond(state, await _find(state, batch_id))


@router.post(
    "/batch/{batch_id}/resume",
    summary="Resume a batch",
    responses=responses(models.BatchResponse, 404, 409, 503, 507),
    openapi_extra=json_body(models.ResumedBatch, required=False),
)
async def resume_batch(request: Request, batch_id: BatchId) -> Response:
    """Run the rows of a stopped batch that have not ended, with `rerun_failed` also those that failed."""
    state = get_state(request)
    found = request_body.validate(await request_body.read_json(request, default={}), models.ResumedBatch)
    record = await _find(state, batch_id)
    with log_failures(state.request_log, "resume_batch", "Failed to resume batch"):
        resume = partial(state.batches.resume, record, rerun_failed=found.rerun_failed)
        record = await anyio.to_thread.run_sync(resume)
    return await _respond(state, record)


async def _find(state: ServerState, batch_id: str) -> BatchRecord:
    found = await anyio.to_thread.run_sync(state.batches.store.load, batch_id)
    if found is None:
        raise HTTPException(404, f"Batch {batch_id[:80]} not found")
    return found


async def _respond(state: ServerState, record: BatchRecord, status: str = "success") -> Response:
    fields = await anyio.to_thread.run_sync(state.batches.fields, record)
    return json_response({"status": status, "batch_id": record.id, "batch": fields, "timestamp": now()})
