"""The health of the server, without a prefix."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from localrun.server.appengine import paths, responses
from localrun.server.appengine.routing import AppEngineRoute

router = APIRouter(route_class=AppEngineRoute, tags=["app-engine"])


@router.get(paths.PING, summary="Check that the server is up")
async def ping(_: Request) -> Response:
    """Return that the server is up. Needs no token."""
    at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return responses.json({"status": "UP", "timestamp": at, "service": "app-engine"})
