"""The heartbeat, and the documentation page of the API."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import anyio.to_thread
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from localrun.server import request_body, schemas
from localrun.server.error_handlers import log_failures
from localrun.server.page.assets import PAGE_HEADERS
from localrun.server.responses import json_response
from localrun.server.routes.base import StrictRoute, json_body, responses
from localrun.server.state import ServerState, get_state
from localrun.server.timestamps import now

router = APIRouter(route_class=StrictRoute, tags=["health"])

_ENGINE_SECONDS = 5.0  # to wait for the answer of the engine

_DOCS = {  # file -> type
    "docs.css": "text/css",
    "docs.js": "text/javascript",
    "nodes.js": "text/javascript",
    "request.js": "text/javascript",
    "schema.js": "text/javascript",
}
_DOCS_HEADERS = {**PAGE_HEADERS, "Cache-Control": "no-cache"}


@router.get("/heartbeat", summary="Get the server heartbeat", responses=responses(schemas.Heartbeat))
async def get_heartbeat(request: Request) -> Response:
    """Return whether a task runs, the last action, and the usage of the machine."""
    state = get_state(request)
    with log_failures(state.request_log, "heartbeat", "Failed to get heartbeat"):
        state.request_log.log_poll("incoming_get", "/heartbeat", {})
        heartbeat = await _heartbeat(state)
        state.request_log.log_poll("outgoing_response", "/heartbeat", heartbeat)
        return json_response(heartbeat)


@router.post(
    "/heartbeat",
    summary="Accept a client heartbeat (always answers `unknown_action`)",
    responses=responses(schemas.HeartbeatResponse),
    openapi_extra=json_body(schemas.HeartbeatRequest),
)
async def post_heartbeat(request: Request) -> Response:
    """Log a client heartbeat. No actions are supported; create tasks with `POST /task`."""
    heartbeat = request_body.validate(await request_body.read_json(request), schemas.HeartbeatRequest)
    state = get_state(request)
    state.request_log.log_poll("incoming_post", "/heartbeat", heartbeat.model_dump())
    error = f"Unknown action: {heartbeat.action}"
    content = {"status": "unknown_action", "error": error, "timestamp": now()}
    state.request_log.log_poll("outgoing_response", "/heartbeat", content)
    return json_response(content)


async def _heartbeat(state: ServerState) -> dict[str, Any]:
    host = await anyio.to_thread.run_sync(state.host_sample)
    running = state.running_count
    return {
        "type": "heartbeat",
        "timestamp": now(),
        "in_task": running > 0,
        "last_server_action": state.request_log.last_action,
        "status": "alive",
        "running": running,
        "waiting": state.waiting_count,
        "host": {
            "cpu_percent": host.cpu_percent,
            "memory_percent": round(host.memory_percent, 1),
            "disk_percent": {point: disk.percent for point, disk in host.disks.items()},
        },
    }


@router.get("/health/live", summary="Check that the server is alive", responses=responses(schemas.Health))
async def get_live(_: Request) -> Response:
    """Return 200 as long as the server handles requests. Needs no token."""
    return json_response({"status": "alive", "timestamp": now()})


@router.get(
    "/health/ready",
    summary="Check that the server can run containers",
    responses=responses(schemas.Health, 503),
)
async def get_ready(request: Request) -> Response:
    """Return 200 if the container engine answers, else 503. Needs no token."""
    state = get_state(request)
    available = False
    with anyio.move_on_after(_ENGINE_SECONDS):
        status = await anyio.to_thread.run_sync(state.engine_status, abandon_on_cancel=True)
        available = status["available"]
    if not available:  # without the address of the engine, which is not for everybody
        raise HTTPException(503, "The container engine is unavailable")
    return json_response({"status": "ready", "timestamp": now()})


@router.get(
    "/metrics",
    summary="Get metrics for Prometheus",
    response_class=Response,
    responses=responses(media="text/plain"),
)
async def get_metrics(request: Request) -> Response:
    """Return the tasks by state and cause, their durations, the queue, reservations and the engine.

    The format is Prometheus' text format, or OpenMetrics for a client that accepts it.
    """
    state = get_state(request)
    accept = request.headers.get("accept", "")
    content, content_type = await anyio.to_thread.run_sync(state.metrics.render, accept)
    return Response(content, headers={"Content-Type": content_type})


async def get_icon(_: Request) -> Response:
    """Answer that there is no icon, which browsers ask for."""
    return Response(status_code=204)


async def get_docs(_: Request) -> Response:
    """Return the documentation page, which loads nothing from other sites."""
    return HTMLResponse(_read_docs("index.html"), headers=_DOCS_HEADERS)


async def get_docs_file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _DOCS:
        raise HTTPException(404, f"The documentation has no file {name[:100]!r}")
    return Response(_read_docs(name), 200, _DOCS_HEADERS, _DOCS[name])


def _read_docs(name: str) -> str:
    return files("localrun.server").joinpath("api_docs", name).read_text("utf-8")


# for browsers: any query is accepted
for _path, _page in (("/docs", get_docs), ("/docs/{name}", get_docs_file), ("/favicon.ico", get_icon)):
    router.add_route(_path, _page, methods=["GET"], include_in_schema=False)
