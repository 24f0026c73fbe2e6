"""Upload, list, describe and delete tasks, and create runs of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from localrun import fs
from localrun.server.appengine import install, objects, responses, upload
from localrun.server.appengine.deviations import deviate
from localrun.server.appengine.errors import AppEngineError
from localrun.server.appengine.multipart import first_file, receive_parts
from localrun.server.appengine.routing import router as make_router
from localrun.server.appengine.routing import service
from localrun.server.appengine.uploaded_tasks import BUNDLE, DESCRIPTOR, LOGO, UploadedTask

router = make_router()

Handler = Callable[[Request], Any]

_BY_ID = "/tasks/{id}"
_BY_NAME = "/tasks/{namespace}/{version}"


def _both(suffix: str, **options: Any) -> Callable[[Handler], Handler]:
    """Register a GET route for both addresses of a task."""

    def register(handler: Handler) -> Handler:
        for address in (_BY_ID, _BY_NAME):
            router.get(f"{address}{suffix}", **options)(handler)
        return handler

    return register


async def _task(request: Request) -> UploadedTask:
    """Return the task of an address. Raises `AppEngineError`."""
    found, names = service(request), request.path_params
    if "id" in names:
        return await run_sync(found.get_task, names["id"])
    return await run_sync(found.find_task, names["namespace"], names["version"])


@router.post("/tasks", summary="Upload a task")
async def upload_task(request: Request) -> Response:
    """Upload a bundle, the first part of a form."""
    found = service(request)
    with found.tasks.receiving() as folder:
        parts = await receive_parts(request, folder, disk_limit=found.app.settings.disk_stop, most=1)
        first_file(parts).path.rename(folder / BUNDLE)
        task = await run_sync(upload.add, found, folder, request.scope)
    return responses.json(objects.task_description(task))


@router.get("/tasks", summary="List tasks")
async def list_tasks(request: Request) -> Response:
    """Return all tasks."""
    tasks = await run_sync(service(request).tasks.all)
    return responses.json([objects.task_description(task) for task in tasks])


@_both("/inputs", summary="List the inputs of a task")
async def list_inputs(request: Request) -> Response:
    task = await _task(request)
    found = [objects.task_input(task, parameter) for parameter in task.descriptor.inputs.values()]
    return responses.json(found)


@_both("/outputs", summary="List the outputs of a task")
async def list_outputs(request: Request) -> Response:
    task = await _task(request)
    found = [objects.task_output(task, parameter) for parameter in task.descriptor.outputs.values()]
    return responses.json(found)


@_both("/descriptor.yml", summary="Download the descriptor of a task")
async def get_descriptor(request: Request) -> Response:
    """Return the descriptor as it was uploaded."""
    task = await _task(request)
    return responses.send_file(request, fs.open_regular(task.folder / DESCRIPTOR), DESCRIPTOR)


@router.get(f"{_BY_NAME}/logo", summary="Download the logo of a task")
async def get_logo(request: Request) -> Response:
    task = await _task(request)
    try:
        logo = fs.open_regular(task.logo)
    except FileNotFoundError:
        raise AppEngineError(500, "APPE-internal-logo-not-found", "no logo found in storage") from None
    return responses.send_file(request, logo, LOGO)


@router.get(f"{_BY_NAME}/bundle.zip", summary="Download the bundle of a task")
async def get_bundle(request: Request) -> Response:
    """Return the bundle as it was uploaded, so that another server can install it from here."""
    deviate(request.scope, "bundle_zip")
    task = await _task(request)
    return responses.send_file(request, fs.open_regular(task.bundle), BUNDLE)


@router.post(f"{_BY_NAME}/install", summary="Install a task from the default store")
async def install_task(request: Request) -> Response:
    """Download the bundle of a task from the default store, and upload it here."""
    found, names = service(request), request.path_params
    with found.tasks.receiving() as folder:
        await run_sync(install.download, found, names["namespace"], names["version"], folder)
        task = await run_sync(upload.add, found, folder, request.scope)
    return responses.json(objects.task_description(task))


@router.post(f"{_BY_ID}/runs", summary="Create a run")
@router.post(f"{_BY_NAME}/runs", summary="Create a run")
async def create_run(request: Request) -> Response:
    """Create a run of a task. It starts on request, after its inputs were provisioned."""
    task, found = await _task(request), service(request)
    run = await run_sync(found.create_run, task)
    return responses.json(objects.run_object(run.id, task, found.state_of(run)))


@router.get(f"{_BY_NAME}/runs", summary="List the runs of a task")
async def list_runs(request: Request) -> Response:
    task, found = await _task(request), service(request)

    def read() -> list[dict[str, Any]]:
        return [objects.run_object(run.id, task, found.state_of(run)) for run in found.runs_of(task)]

    return responses.json(await run_sync(read))


@_both("", summary="Get a task")
async def get_task(request: Request) -> Response:
    return responses.json(objects.task_description(await _task(request)))


@router.delete(_BY_NAME, summary="Delete a task")
async def remove_task(request: Request) -> Response:
    """Delete a task with its runs."""
    task = await _task(request)
    await run_sync(service(request).remove_task, task)
    return responses.empty()
