"""Upload and list bundles."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.server import schemas, uploads
from localrun.server.bundle_store import BundleEntry
from localrun.server.error_handlers import log_failures
from localrun.server.responses import json_response
from localrun.server.routes.base import StrictRoute, raw_body, responses
from localrun.server.state import ServerState, get_state
from localrun.server.timestamps import now

router = APIRouter(route_class=StrictRoute, tags=["bundles"])


@router.post(
    "/bundle",
    summary="Upload a bundle",
    responses=responses(schemas.BundleUploaded, 409, 415, 507),
    openapi_extra=raw_body("The zip file: `curl --data-binary @bundle.zip`."),
)
async def post_bundle(
    request: Request,
    replace: Annotated[bool, Query(description="Replace a bundle of the same name.")] = False,
) -> Response:
    """Store a bundle. Tasks can then use it as `namespace:version`."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise HTTPException(415, "Send the zip file itself, not a form: `curl --data-binary @bundle.zip`")
    state = get_state(request)
    with log_failures(state.request_log, "post_bundle", "Failed to store bundle"):
        store, run = state.bundle_store, anyio.to_thread.run_sync
        with ExitStack() as stack:
            path = await run(stack.enter_context, store.receive())
            await uploads.receive(request, path, state.app.settings.disk_stop)
            entry = await run(partial(store.add_file, path, replace=replace))
        state.request_log.log_response("post_bundle", 200, bundle=entry.name)
        return json_response({"status": "bundle_kept", **_content(state, entry), "timestamp": now()})


@router.get("/bundle", summary="List bundles", responses=responses(schemas.BundleList))
async def list_bundles(request: Request) -> Response:
    """List uploaded bundles and those below the server's bundle folders."""
    state = get_state(request)
    found = await anyio.to_thread.run_sync(lambda: list(state.bundle_store.entries()))
    return json_response({"bundles": [_content(state, entry) for entry in found], "timestamp": now()})


def _content(state: ServerState, entry: BundleEntry) -> dict[str, Any]:
    return {"name": entry.name, "title": entry.title, "path": _path(state, entry.path)}


def _path(state: ServerState, path: Path) -> str | None:
    """Return the path that tasks can use; an uploaded bundle only has a name."""
    for root in state.bundle_store.roots:
        if path.is_relative_to(root) and not path.is_relative_to(state.bundle_store.uploads):
            return str(path.relative_to(root))
    return None
