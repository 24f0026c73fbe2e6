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
from localrun.server.bundle_store import Entry
from localrun.server.error_handlers import Failing
from localrun.server.responses import answer, now
from localrun.server.routes.base import raw_body, responses
from localrun.server.routes.files import in_thread
from localrun.server.state import Site, site_of

router = APIRouter(tags=["bundles"])


@router.post(
    "/bundle",
    summary="Upload a bundle",
    responses=responses(schemas.BundleKept, 409, 415, 507),
    openapi_extra=raw_body("The zip itself: `curl --data-binary @bundle.zip`."),
)
async def post_bundle(
    request: Request,
    replace: Annotated[bool, Query(description="Put it in place of another one of its name.")] = False,
) -> Response:
    """Keep a bundle, so that tasks can name it as `namespace:version`."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise HTTPException(415, "Send the zip itself, not a form: `curl --data-binary @bundle.zip`")
    site = site_of(request)
    with Failing(site.minutes, "post_bundle", "Failed to keep bundle"):
        entry: Entry = await in_thread(request, partial(site.library.add, replace=replace))
        site.minutes.answered("post_bundle", 200, bundle=entry.name)
        return answer({"status": "bundle_kept", **_shown(site, entry), "timestamp": now()})


@router.get("/bundle", summary="List the bundles", responses=responses(schemas.Bundles))
async def list_bundles(request: Request) -> Response:
    """The bundles that a task can name: uploaded ones, and those below the server's folders."""
    site = site_of(request)
    found = await anyio.to_thread.run_sync(lambda: list(site.library.entries()))
    return answer({"bundles": [_shown(site, entry) for entry in found], "timestamp": now()})


def _shown(site: Site, entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "title": entry.title, "path": _path(site, entry.path)}


def _path(site: Site, path: Path) -> str | None:
    """The path that a task can name it by; an uploaded one has only its name."""
    for root in site.library.roots:
        if path.is_relative_to(root) and not path.is_relative_to(site.library.uploads):
            return str(path.relative_to(root))
    return None
