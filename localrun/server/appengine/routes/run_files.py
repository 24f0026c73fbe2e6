"""The inputs and outputs of a run: as JSON, as zips, and as single files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, BinaryIO, Literal

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localrun.server.appengine import ending, responses
from localrun.server.appengine.archives import deflated_zip, stored_zip
from localrun.server.appengine.deviations import deviate
from localrun.server.appengine.errors import (
    AppEngineError,
    invalid_state,
    not_multipart,
    nothing_to_zip,
    server_error,
    unreadable_file,
)
from localrun.server.appengine.multipart import first_file, is_multipart, receive_parts
from localrun.server.appengine.provisioning.indexes import parse_indexes
from localrun.server.appengine.routing import router as make_router
from localrun.server.appengine.routing import service
from localrun.server.appengine.run_folder import RunFolder
from localrun.server.appengine.runs import AppEngineRun
from localrun.server.appengine.service import AppEngine
from localrun.values.input_folder import REGION

router = make_router()

Direction = Literal["input", "output"]

_RUN = "/task-runs/{run}"
_ITEM_TYPES = ("*/*", "multipart/*", "multipart/form-data")
_NUMBER_WORDS = ("NaN", "Infinity", "-Infinity")
_GEOJSON = "application/geo+json"


def _open_folder(request: Request, direction: Direction) -> RunFolder | None:
    """Return the inputs or outputs of a run; None for a deleted one. Raises `AppEngineError`."""
    found = service(request)
    run = found.get_run(request.path_params["run"])
    state = found.state_of(run)
    if (state == "CREATED") if direction == "input" else (state != "FINISHED"):
        raise invalid_state()
    return _folder(found, run, direction)


def _folder(found: AppEngine, run: AppEngineRun, direction: Direction) -> RunFolder | None:
    record = found.find_record(run)
    if record is None:
        return None
    return RunFolder(run.id, record, found.task_of(run).descriptor, is_input=direction == "input")


async def _values(request: Request, direction: Direction) -> Response:
    def read() -> list[dict[str, Any]]:
        folder = _open_folder(request, direction)
        if folder is None:
            deviate(request.scope, "deleted_values")
            return []
        found = folder.values()
        if direction == "input" and any(
            one["value"] in _NUMBER_WORDS for one in found if one["type"] == "NUMBER"
        ):
            deviate(request.scope, "number_words")
        return found

    return responses.json(await run_sync(read))


@router.get(f"{_RUN}/inputs", summary="List the inputs of a run")
async def list_inputs(request: Request) -> Response:
    """Return the values that were provisioned."""
    return await _values(request, "input")


@router.get(f"{_RUN}/outputs", summary="List the outputs of a run")
async def list_outputs(request: Request) -> Response:
    """Return the values of a finished run."""
    return await _values(request, "output")


async def _zip(request: Request, direction: Direction) -> Response:
    def find() -> RunFolder:
        folder = _open_folder(request, direction)
        if folder is None or not folder.has_files():
            raise nothing_to_zip()
        return folder

    folder = await run_sync(find)
    if direction == "input" and folder.has_folders():
        deviate(request.scope, "inputs_zip")
    headers = responses.attachment_headers(f"{direction}s-{request.path_params['run']}.zip")
    return StreamingResponse(stored_zip(folder.members()), headers=headers, media_type=responses.OCTETS)


@router.get(f"{_RUN}/inputs.zip", summary="Download the inputs of a run")
async def download_inputs(request: Request) -> Response:
    """Return a zip with uncompressed members."""
    return await _zip(request, "input")


@router.get(f"{_RUN}/outputs.zip", summary="Download the outputs of a run")
async def download_outputs(request: Request) -> Response:
    """Return a zip with uncompressed members."""
    return await _zip(request, "output")


async def _send(
    request: Request,
    direction: Direction,
    name: str,
    indexes: Sequence[str] = (),
    *,
    filename: str,
    media_type: str = responses.OCTETS,
) -> Response:
    """Return a file, or a folder as a zip, without regard to the state of the run."""

    def find() -> tuple[RunFolder, BinaryIO | None]:
        try:
            found = service(request)
            folder = _folder(found, found.get_run(request.path_params["run"]), direction)
        except AppEngineError as error:
            if error.status_code != 404:
                raise
            folder = None
        if folder is None:
            raise unreadable_file("/".join((name, *indexes)))
        return folder, folder.open(name, indexes)

    folder, stream = await run_sync(find)
    if stream is not None:
        return responses.send_file(request, stream, filename, media_type)
    packed = deflated_zip(folder.folder_members(name, indexes))
    return StreamingResponse(
        packed, headers=responses.attachment_headers(filename), media_type=responses.OCTETS
    )


async def _parameter(request: Request, direction: Direction) -> Response:
    given = request.path_params["name"]
    name = given.removesuffix(REGION)
    media_type = responses.OCTETS if name == given else _GEOJSON
    return await _send(request, direction, name, filename=name, media_type=media_type)


@router.get(f"{_RUN}/input/{{name}}", summary="Download an input")
async def download_input(request: Request) -> Response:
    """Return the file of an input. With `.geojson` at the end it has the type of a geometry."""
    return await _parameter(request, "input")


@router.get(f"{_RUN}/output/{{name}}", summary="Download an output")
async def download_output(request: Request) -> Response:
    """Return the file of an output. With `.geojson` at the end it has the type of a geometry."""
    return await _parameter(request, "output")


def _item_indexes(request: Request) -> list[str]:
    accepted = {one.partition(";")[0].strip() for one in request.headers.get("accept", "*/*").split(",")}
    if accepted.isdisjoint(_ITEM_TYPES):
        raise server_error("No acceptable representation")
    return parse_indexes(request.path_params["name"], request.query_params.get("value"))


@router.get(f"{_RUN}/input/{{name}}/indexes", summary="Download an item of an input")
async def download_input_item(request: Request) -> Response:
    indexes = _item_indexes(request)
    name = request.path_params["name"]
    return await _send(request, "input", name, indexes, filename="/".join((name, *indexes)))


@router.get(f"{_RUN}/output/{{name}}/indexes", summary="Download an item of an output")
async def download_output_item(request: Request) -> Response:
    indexes = _item_indexes(request)
    return await _send(request, "output", request.path_params["name"], indexes, filename=indexes[-1])


@router.post(f"{_RUN}/{{secret}}/outputs.zip", summary="End a run with outputs")
async def post_outputs(request: Request) -> Response:
    """Take the outputs of a run from a zip, the first part of a form. It needs the secret of the run."""
    if not is_multipart(request):
        error = not_multipart()
        raise AppEngineError(400, error.code, error.message)
    found, parameters = service(request), request.path_params
    with found.receiving() as folder:
        parts = await receive_parts(request, folder, disk_limit=found.app.settings.disk_stop, most=1)
        path = first_file(parts).path

        def end() -> list[dict[str, Any]]:
            deviates = partial(deviate, request.scope)
            ending.receive_outputs(found, parameters["run"], parameters["secret"], path, deviates)
            outputs = _folder(found, found.get_run(parameters["run"]), "output")
            return [] if outputs is None else outputs.values()

        return responses.json(await run_sync(end))
