"""Provision the inputs of a run: as JSON, as files, in a batch, and item by item."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from localrun.server.appengine import responses
from localrun.server.appengine.deviations import deviate
from localrun.server.appengine.errors import (
    SERVER_ERROR,
    AppEngineError,
    parameter,
    server_error,
    unreadable_body,
)
from localrun.server.appengine.multipart import FormPart, is_multipart, receive_parts
from localrun.server.appengine.provisioning.bodies import read_json
from localrun.server.appengine.provisioning.indexes import parse_indexes
from localrun.server.appengine.provisioning.provisioner import Provisioner
from localrun.server.appengine.routing import router as make_router
from localrun.server.appengine.routing import service

router = make_router()

_INPUTS = "/task-runs/{run}/input-provisions"
_INPUT = f"{_INPUTS}/{{name}}"
_ITEM = f"{_INPUT}/indexes"


@router.put(_INPUTS, summary="Provision several inputs")
async def put_inputs(request: Request) -> Response:
    """Set several inputs, or none if one of them is invalid."""
    body = await read_json(request)
    if not isinstance(body, list):
        raise unreadable_body()
    return await _provision(request, lambda inputs: inputs.put_values(body))


@router.put(_INPUT, summary="Provision an input")
async def put_input(request: Request) -> Response:
    """Set an input to a JSON value. A form with a file is accepted as well."""
    if is_multipart(request):
        deviate(request.scope, "put_multipart")
        return await post_input(request)
    body = await read_json(request)
    return await _provision(request, lambda inputs: inputs.put_value(request.path_params["name"], body))


@router.post(_INPUT, summary="Provision an input with a file")
async def post_input(request: Request) -> Response:
    """Set an input to a file, the first part of a form. A second part is its region."""
    name = request.path_params["name"]

    def store(parts: list[FormPart], inputs: Provisioner) -> Any:
        region = parts[1].path if len(parts) > 1 else None
        return inputs.put_file(name, parts[0].path, region)

    return await _receive(request, name, store)


@router.put(_ITEM, summary="Provision an item of an array")
async def put_item(request: Request) -> Response:
    """Set an item of an array to a JSON value."""
    name = request.path_params["name"]
    body = await read_json(request)
    indexes = parse_indexes(name, request.query_params.get("value"))
    return await _provision(request, lambda inputs: inputs.put_item(name, indexes, body))


@router.post(_ITEM, summary="Provision an item of an array with a file")
async def post_item(request: Request) -> Response:
    """Set an item of an array to a file, the first part of a form."""
    name = request.path_params["name"]
    indexes = parse_indexes(name, request.query_params.get("value"))

    def store(parts: list[FormPart], inputs: Provisioner) -> Any:
        return inputs.put_item_file(name, indexes, parts[0].path)

    return await _receive(request, name, store)


async def _provision(request: Request, store: Callable[[Provisioner], Any]) -> Response:
    """Call `store` in a thread, and return its answer."""

    def work() -> Any:
        deviates = partial(deviate, request.scope)
        return store(Provisioner(service(request), request.path_params["run"], deviates))

    return responses.json(await run_sync(work))


async def _receive(
    request: Request, name: str, store: Callable[[list[FormPart], Provisioner], Any]
) -> Response:
    """Receive the files of a form, and pass them to `store` in a thread.

    The form is received before anything else is checked, as App Engine does. Nothing of it is kept if it is
    refused.
    """
    if not is_multipart(request):
        raise server_error(f"Content-Type '{request.headers.get('content-type', '')}' is not supported")
    found = service(request)
    with found.receiving() as folder:
        parts = await receive_parts(request, folder, disk_limit=found.app.settings.disk_stop, most=2)
        if not parts or not parts[0].is_file:
            raise AppEngineError(400, SERVER_ERROR, "Server error.", parameter(name))
        return await _provision(request, partial(store, parts))
