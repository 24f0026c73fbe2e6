"""Upload and list bundles."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from msgspec import structs
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.bundle.reader import Bundle, read_bundle
from localrun.bundle.validation import image_config
from localrun.descriptor.value_schema import inputs_schema
from localrun.errors import BundleError, EngineError, ImageError, LocalrunError
from localrun.report.details.parameters import declared
from localrun.server import request_body, schemas, uploads
from localrun.server.bundle_check import BundleCheck
from localrun.server.bundle_store import BundleEntry
from localrun.server.error_handlers import log_failures
from localrun.server.page import models
from localrun.server.rejection import Rejection
from localrun.server.responses import json_response
from localrun.server.routes.base import StrictRoute, json_body, raw_body, responses
from localrun.server.state import ServerState, get_state
from localrun.server.timestamps import now

router = APIRouter(route_class=StrictRoute, tags=["bundles"])

_NO_IMAGE = "localrun/none"  # in place of the image of a bundle that has none

Reference = Annotated[
    str, PathParameter(max_length=1000, description="The path of a bundle, or `namespace:version`.")
]


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


@router.get(
    "/bundle/{reference:path}",
    summary="Describe a bundle",
    responses=responses(models.BundleDescription, 404, 503),
)
async def get_bundle(request: Request, reference: Reference) -> Response:
    """Return the inputs and outputs of a bundle, its resources, and the JSON Schema of its inputs.

    `reference` is a path below the bundle folders of the server, or `namespace:version`.
    """
    state = get_state(request)
    return json_response(await anyio.to_thread.run_sync(_description, state, reference))


def _description(state: ServerState, reference: str) -> dict[str, Any]:
    bundle, problem = _read(state, reference)
    found = bundle.descriptor
    config = None
    with suppress(EngineError, ImageError):
        if problem is None:
            config = image_config.from_bundle(bundle, lambda: state.app.engine, state.app.settings.cache)
    keys = ("name", "name_short", "namespace", "version", "description")
    return {
        "reference": reference,
        **{key: getattr(found, key) for key in keys},
        "title": found.name,
        "authors": [structs.asdict(author) for author in found.authors],
        "resources": structs.asdict(found.resources),
        **declared(found),
        "schema": inputs_schema(found),
        "image": config.as_dict() if config else None,
        "problems": [one.as_dict() for one in problem.problems] if problem else [],
        "warnings": [str(warning) for warning in bundle.warnings],
    }


def _read(
    state: ServerState, reference: str, image: str | None = None
) -> tuple[Bundle, LocalrunError | None]:
    """Read a bundle, and return what is wrong with its image, without which it can be shown.

    Raises `Rejection` 404 if there is none of that name, and as `read_bundle`.
    """
    try:
        path = state.bundle_store.find_bundle(reference)
    except BundleError as error:
        raise Rejection(404, f"Unknown bundle {reference[:200]!r}", error.remedy) from error
    cache = state.app.settings.cache
    try:
        return read_bundle(path, image=image, cache=cache), None
    except (BundleError, ImageError) as error:
        return read_bundle(path, image=_NO_IMAGE, cache=cache), error


@router.post(
    "/bundle/{reference:path}/check",
    summary="Check a task of a bundle without running it",
    responses=responses(models.CheckResult, 404),
    openapi_extra=json_body(models.CheckRequest),
)
async def check_bundle(request: Request, reference: Reference) -> Response:
    """Return every problem of a task, which inputs are missing, and the commands that submit it.

    The body is a task without its `bundle`. `uploads` names inputs whose file is sent afterwards. Problems do
    not change the status: it is 200.
    """
    found = request_body.validate(await request_body.read_json(request, default={}), models.CheckRequest)
    state, base_url = get_state(request), str(request.base_url).rstrip("/")
    fields = {**(found.model_extra or {}), "inputs": found.inputs}

    def check() -> dict[str, Any]:
        image = fields.get("image")
        bundle, problem = _read(state, reference, image if isinstance(image, str) and image else None)
        known = problem.problems if problem else ()
        return BundleCheck(state, reference, bundle, known).check(fields, found.uploads, base_url)

    return json_response(await anyio.to_thread.run_sync(check))


def _content(state: ServerState, entry: BundleEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "path": _path(state, entry.path),
        "reference": state.bundle_store.reference(entry.path) or entry.name,
        "description": entry.description,
        "inputs": entry.inputs,
        "outputs": entry.outputs,
        "uploaded": entry.path.is_relative_to(state.bundle_store.uploads),
    }


def _path(state: ServerState, path: Path) -> str | None:
    """Return the path that tasks can use; an uploaded bundle only has a name."""
    for root in state.bundle_store.roots:
        if path.is_relative_to(root) and not path.is_relative_to(state.bundle_store.uploads):
            return str(path.relative_to(root))
    return None
