"""The heartbeat, and the page that describes the API."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from localrun.server import request_body, schemas
from localrun.server.error_handlers import log_failures
from localrun.server.responses import json_response, now
from localrun.server.routes.base import json_body, responses
from localrun.server.state import ServerState, get_state

router = APIRouter(tags=["health"])

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@router.get("/heartbeat", summary="Say that the server is alive", responses=responses(schemas.Heartbeat))
async def get_heartbeat(request: Request) -> Response:
    """The server is alive; whether a task runs, what was done last, and what the machine does."""
    site = get_state(request)
    with log_failures(site.request_log, "heartbeat", "Failed to get heartbeat"):
        site.request_log.log_poll("incoming_get", "/heartbeat", {})
        beat = await _beat(site)
        site.request_log.log_poll("outgoing_response", "/heartbeat", beat)
        return json_response(beat)


@router.post(
    "/heartbeat",
    summary="Tell what you do",
    responses=responses(schemas.HeartbeatResponse),
    openapi_extra=json_body(schemas.HeartbeatRequest),
)
async def post_heartbeat(request: Request) -> Response:
    """Taken note of. No action is known here: tasks are made with `POST /task`."""
    pulse = request_body.validate(await request_body.read_json(request), schemas.HeartbeatRequest)
    site = get_state(request)
    site.request_log.log_poll("incoming_post", "/heartbeat", pulse.model_dump())
    content = {
        "status": "unknown_action",
        "error": f"Unknown action: {pulse.action}",
        "timestamp": now(),
    }
    site.request_log.log_poll("outgoing_response", "/heartbeat", content)
    return json_response(content)


async def _beat(site: ServerState) -> dict[str, Any]:
    host = await anyio.to_thread.run_sync(site.host_sample)
    running = site.running_count
    return {
        "type": "heartbeat",
        "timestamp": now(),
        "in_task": running > 0,
        "last_server_action": site.request_log.last_action,
        "status": "alive",
        "running": running,
        "waiting": site.waiting_count,
        "host": {
            "cpu_percent": host.cpu_percent,
            "memory_percent": round(host.memory_percent, 1),
            "disk_percent": {point: disk.percent for point, disk in host.disks.items()},
        },
    }


@router.get("/", include_in_schema=False)
async def get_root() -> Response:
    """Lead people who open the server in a browser to the page."""
    return RedirectResponse("/docs")


@router.get("/docs", include_in_schema=False)
async def get_docs() -> Response:
    """The description of the API, without anything from elsewhere."""
    return HTMLResponse(_page(), headers=_PAGE_HEADERS)


def _page() -> str:
    return files("localrun.server").joinpath("docs.html").read_text("utf-8")
