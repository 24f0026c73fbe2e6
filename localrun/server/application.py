"""Assembles the ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from localrun._version import __version__
from localrun.errors import LocalrunError
from localrun.server import schemas
from localrun.server.appengine.application import AppEngineDispatcher, make_app_engine_api
from localrun.server.appengine.paths import AppEnginePathMiddleware
from localrun.server.batches import models as batch_models
from localrun.server.error_handlers import ExceptionHandlers
from localrun.server.journal import HeartbeatEmitter
from localrun.server.methods import MethodsMiddleware
from localrun.server.page import models
from localrun.server.request_limits import RequestLimitMiddleware
from localrun.server.routes import (
    actions,
    batches,
    bundles,
    details,
    feed,
    files,
    health,
    images,
    listing,
    logs,
    page,
    queue,
    session,
    streams,
    tasks,
)
from localrun.server.security import SecurityMiddleware
from localrun.server.state import ServerState

_REFS = "#/components/schemas/{model}"
# images before files, whose paths include those of images
_ROUTES = (
    *(tasks, listing, details, health, actions, streams, logs, images),
    *(feed, queue, files, bundles, batches, session, page),
)
_MODELS = (
    schemas.ErrorResponse,
    schemas.ValidationErrorResponse,
    schemas.Submission,
    schemas.Batch,
    schemas.Completion,
    schemas.HeartbeatRequest,
    batch_models.DocumentedBatch,
    batch_models.ResumedBatch,
    models.Rerun,
    models.LogPage,
    models.CheckRequest,
    models.Code,
    models.TicketRequest,
)


def make_api(state: ServerState) -> ASGIApp:
    """Return the application: the security middleware and behind it the routes."""
    api = _routed(partial(_lifespan, state))
    api.state.server = state
    handlers = ExceptionHandlers(state.request_log)
    api.add_exception_handler(HTTPException, handlers.on_http_exception)
    api.add_exception_handler(RequestValidationError, handlers.on_validation_error)
    api.add_exception_handler(LocalrunError, handlers.on_localrun_error)
    api.add_exception_handler(ClientDisconnect, handlers.on_disconnect)
    both = AppEngineDispatcher(MethodsMiddleware(api, api.routes), make_app_engine_api(state.app_engine))
    inner = RequestLimitMiddleware(both, state.limits)
    checked = SecurityMiddleware(inner, state.options, state.request_log.log_rejection, state.sessions)
    return AppEnginePathMiddleware(checked, state.options.api_prefixes)


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document without starting a server."""
    return _openapi(_routed())


def _routed(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None) -> FastAPI:
    api = FastAPI(
        title="localrun",
        version=__version__,
        description="Runs containerized tasks on this machine.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads scripts from the internet
        redoc_url=None,
        redirect_slashes=False,
    )
    for routes in _ROUTES:
        # added one by one: including a router would add a step to each request
        api.router.routes.extend(routes.router.routes)
    for route in api.routes:
        if isinstance(route, APIRoute):
            route.operation_id = route.name  # the name of a method in generated clients
    api.openapi = partial(_openapi, api)  # type: ignore[method-assign]
    return api


@asynccontextmanager
async def _lifespan(state: ServerState, _: FastAPI) -> AsyncIterator[None]:
    await anyio.to_thread.run_sync(state.start)
    heartbeat = HeartbeatEmitter(
        state.journal,
        host=state.host_sample,
        running=lambda: state.running_count,
        waiting=lambda: state.waiting_count,
        interval=state.options.heartbeat,
    )
    heartbeat.start()
    try:
        yield
    finally:
        state.close()
        await anyio.to_thread.run_sync(heartbeat.stop)
        await anyio.to_thread.run_sync(state.follower.close)
        await anyio.to_thread.run_sync(state.journal.close)


def _openapi(api: FastAPI) -> dict[str, Any]:
    if not api.openapi_schema:
        document = get_openapi(
            title=api.title, version=api.version, description=api.description, routes=api.routes
        )
        _, schema = models_json_schema([(model, "validation") for model in _MODELS], ref_template=_REFS)
        document["components"]["schemas"].update(schema["$defs"])
        api.openapi_schema = document
    return api.openapi_schema
