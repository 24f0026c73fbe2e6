"""Runs: their state, their log, and their deletion."""

from __future__ import annotations

from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localrun import fs
from localrun.server.appengine import ending, objects, responses, starting
from localrun.server.appengine.deviations import deviate
from localrun.server.appengine.errors import (
    AppEngineError,
    forbidden_state,
    null_pointer,
    server_error,
    unreadable_body,
)
from localrun.server.appengine.provisioning.bodies import read_object
from localrun.server.appengine.routing import router as make_router
from localrun.server.appengine.routing import service
from localrun.server.appengine.service import AppEngine, check_id
from localrun.task.states import TaskState
from localrun.task.workspace import Workspace

router = make_router()

_RUN = "/task-runs/{run}"
_STATES = {str(state) for state in TaskState} - {"KILLED"}
_CHUNK = 256 * 1024


@router.get(_RUN, summary="Get a run")
async def get_run(request: Request) -> Response:
    """Return a run and its state."""

    def read() -> dict[str, Any]:
        found = service(request)
        run = found.get_run(request.path_params["run"])
        state = found.state_of(run)
        if state in ("QUEUED", "PENDING", "RUNNING"):
            deviate(request.scope, "states")
        elif state == "FAILED":
            deviate(request.scope, "failed")
        return objects.run_response(run.id, found.task_of(run), state, run.created)

    return responses.json(await run_sync(read))


@router.delete(_RUN, summary="Delete the files of a run")
async def remove_run(request: Request) -> Response:
    """Stop a run, and delete its files. The run stays readable with its state."""
    found, run_id = service(request), check_id(request.path_params["run"])

    def remove() -> None:
        try:
            run = found.get_run(run_id)
        except AppEngineError:
            raise server_error(f'404 NOT_FOUND "Unable to find run with id: {run_id}"') from None
        found.remove_run(run)

    await run_sync(remove)
    return responses.empty()


@router.get(f"{_RUN}/logs", summary="Get the log of a run")
async def get_log(request: Request) -> Response:
    """Return what the program of a run has written so far."""
    stream = await run_sync(_open_log, service(request), request.path_params["run"])

    def read() -> Any:
        with stream:
            while data := stream.read(_CHUNK):
                yield data

    return StreamingResponse(read(), media_type=responses.TEXT)


def _open_log(found: AppEngine, run_id: str) -> Any:
    try:
        run = found.get_run(run_id)
    except AppEngineError as error:
        if error.status_code != 404:
            raise
        raise server_error(f"Unable to find run with id: {run_id}") from None
    record = found.find_record(run)
    if record is not None and any(state is TaskState.RUNNING for state, _ in record.history):
        try:
            return fs.open_regular(Workspace(record.folder).log)
        except OSError:
            pass
    reason = f": {record.message}" if record is not None and record.message else ""
    raise server_error(f"the run has no log: it is {found.state_of(run)}{reason}")


@router.post(f"{_RUN}/state-actions", summary="Change the state of a run")
async def change_state(request: Request) -> Response:
    """Note that a run is provisioned, start it, or read its outputs."""
    desired = (await read_object(request)).get("desired")
    if desired is not None and not (isinstance(desired, str) and desired in _STATES):
        raise unreadable_body()
    return responses.json(await run_sync(_change_state, request, desired))


def _change_state(request: Request, desired: str | None) -> dict[str, Any]:
    found = service(request)
    run = found.get_run(request.path_params["run"])
    if desired is None:
        raise null_pointer()
    shown = desired
    if desired == TaskState.PROVISIONED:
        starting.note_provisioned(found, run)
    elif desired == TaskState.RUNNING:
        starting.start(found, run, partial(deviate, request.scope))
        shown = TaskState.QUEUING
    elif desired == TaskState.FINISHED:
        ending.finish(found, run)
    else:
        raise forbidden_state()
    return objects.transition_response(run.id, found.task_of(run), str(shown))
