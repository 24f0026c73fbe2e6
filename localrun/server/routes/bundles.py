"""Bundles: uploaded, and listed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.server import schemas
from localrun.server.bundle_store import BundleEntry
from localrun.server.error_handlers import log_failures
from localrun.server.responses import json_response, now
from localrun.server.routes.base import raw_body, responses
from localrun.server.routes.files import run_with_body
from localrun.server.state import ServerState, get_state

router = APIRouter(tags=["bundles"])


@router.post(
    "/bundle",
    summary="Upload a bundle",
    responses=responses(schemas.BundleUploaded, 409, 415, 507),
    openapi_extra=raw_body("The zip itself: `curl --data-binary @bundle.zip`."),
)
async def post_bundle(
    request: Request,
    replace: Annotated[bool, Query(description="Put it in place of another one of its name.")] = False,
) -> Response:
    """Keep a bundle, so that tasks can name it as `namespace:version`."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise HTTPException(415, "Send the zip itself, not a form: `curl --data-binary @bundle.zip`")
    site = get_state(request)
    with log_failures(site.request_log, "post_bundle", "Failed to keep bundle"):
        entry: BundleEntry = await run_with_body(request, partial(site.bundle_store.add, replace=replace))
        site.request_log.log_response("post_bundle", 200, bundle=entry.name)
        return json_response({"status": "bundle_kept", **_shown(site, entry), "timestamp": now()})


@router.get("/bundle", summary="List the bundles", responses=responses(schemas.BundleList))
async def list_bundles(request: Request) -> Response:
    """The bundles that a task can name: uploaded ones, and those below the server's folders."""
    site = get_state(request)
    found = await anyio.to_thread.run_sync(lambda: list(site.bundle_store.entries()))
    return json_response({"bundles": [_shown(site, entry) for entry in found], "timestamp": now()})


def _shown(site: ServerState, entry: BundleEntry) -> dict[str, Any]:
    return {"name": entry.name, "title": entry.title, "path": _path(site, entry.path)}


def _path(site: ServerState, path: Path) -> str | None:
    """The path that a task can name it by; an uploaded one has only its name."""
    for root in site.bundle_store.roots:
        if path.is_relative_to(root) and not path.is_relative_to(site.bundle_store.uploads):
            return str(path.relative_to(root))
    return None
