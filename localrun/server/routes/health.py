"""The heartbeat, and the page that describes the API."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from localrun.server import request_body, schemas
from localrun.server.error_handlers import Failing
from localrun.server.responses import answer, now
from localrun.server.routes.base import json_body, responses
from localrun.server.state import Site, site_of

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
    site = site_of(request)
    with Failing(site.minutes, "heartbeat", "Failed to get heartbeat"):
        site.minutes.polled("incoming_get", "/heartbeat", {})
        beat = await _beat(site)
        site.minutes.polled("outgoing_response", "/heartbeat", beat)
        return answer(beat)


@router.post(
    "/heartbeat",
    summary="Tell what you do",
    responses=responses(schemas.Answered),
    openapi_extra=json_body(schemas.Pulse),
)
async def post_heartbeat(request: Request) -> Response:
    """Taken note of. No action is known here: tasks are made with `POST /task`."""
    pulse = request_body.check(await request_body.read(request), schemas.Pulse)
    site = site_of(request)
    site.minutes.polled("incoming_post", "/heartbeat", pulse.model_dump())
    content = {
        "status": "unknown_action",
        "error": f"Unknown action: {pulse.action}",
        "timestamp": now(),
    }
    site.minutes.polled("outgoing_response", "/heartbeat", content)
    return answer(content)


async def _beat(site: Site) -> dict[str, Any]:
    host = await anyio.to_thread.run_sync(site.host)
    running = site.running
    return {
        "type": "heartbeat",
        "timestamp": now(),
        "in_task": running > 0,
        "last_server_action": site.minutes.last_action,
        "status": "alive",
        "running": running,
        "waiting": site.waiting,
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
