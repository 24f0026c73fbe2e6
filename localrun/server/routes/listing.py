"""Search the tasks of the folder."""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.server.listing import query
from localrun.server.listing.index import IndexedTask
from localrun.server.page import models
from localrun.server.responses import json_response
from localrun.server.routes.base import StrictRoute, responses
from localrun.server.state import ServerState, get_state
from localrun.task.states import TaskState

router = APIRouter(route_class=StrictRoute, tags=["tasks"])


@router.get("/tasks", summary="Search tasks", responses=responses(models.TaskRows, 404))
async def search_tasks(request: Request, search: Annotated[models.TaskSearch, Query()]) -> Response:
    """Return rows of tasks, newest first, and the number of tasks in each state.

    All tasks of the folder are searched, also ended ones of earlier servers. `counts` ignores the terms for
    the state. `GET /events?after=EVENT_ID` continues from this response without a gap.
    """
    try:
        terms = query.parse(search.q)
    except query.InvalidQuery as error:
        raise _invalid(search.q, error) from None
    return json_response(await anyio.to_thread.run_sync(_search, get_state(request), search, terms))


def _search(state: ServerState, search: models.TaskSearch, terms: list[query.SearchTerm]) -> dict[str, Any]:
    state.follower.touch()
    event_id = state.feed.last_id  # before the tasks are read
    tasks = state.index.tasks()
    others = query.select(tasks, [term for term in terms if term.key != "state"])
    counts = Counter(task.record.state for task in others)
    found = _ordered(query.select(others, terms), search.sort)
    first = _position(found, search.start) + search.offset
    return {
        "tasks": state.index.complete(found[first : first + search.limit]),
        "counts": {str(name): counts[name] for name in TaskState},
        "matching": len(found),
        "total": len(tasks),
        "offset": first,
        "event_id": event_id,
        "time": time.time(),
    }


def _ordered(tasks: list[IndexedTask], order: str) -> list[IndexedTask]:
    key, descending = order.removeprefix("-"), order.startswith("-")
    if key == "created":  # their order in the index
        return tasks if descending else tasks[::-1]
    if key == "name":
        return sorted(tasks, key=lambda task: task.record.name.casefold(), reverse=descending)
    name = "memory_peak" if key == "memory" else key
    known = [task for task in tasks if task.row[name] is not None]
    unknown = [task for task in tasks if task.row[name] is None]
    return sorted(known, key=lambda task: float(task.row[name]), reverse=descending) + unknown


def _position(tasks: list[IndexedTask], task_id: str | None) -> int:
    if task_id is None:
        return 0
    for index, task in enumerate(tasks):
        if task.record.id == task_id:
            return index
    raise HTTPException(404, f"Task {task_id[:80]} not found in this list")


def _invalid(text: str, error: query.InvalidQuery) -> RequestValidationError:
    item = {
        "type": "search",
        "loc": ("query", "q"),
        "msg": f"{error}; {error.remedy}",
        "input": text[:80],
        "ctx": {"error": str(error), "remedy": error.remedy},
    }
    return RequestValidationError([item])
