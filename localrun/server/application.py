"""The ASGI application, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from localrun._version import __version__
from localrun.errors import LocalrunError
from localrun.server import schemas
from localrun.server.error_handlers import ExceptionHandlers
from localrun.server.journal import HeartbeatEmitter
from localrun.server.routes import actions, bundles, files, health, streams, tasks
from localrun.server.security import SecurityMiddleware
from localrun.server.state import ServerState

_TITLE = "localrun"
_REFS = "#/components/schemas/{model}"
_REQUESTS = (schemas.Submission, schemas.Batch, schemas.Completion, schemas.HeartbeatRequest)


def make_api(site: ServerState) -> ASGIApp:
    """The server's application: the guard, and behind it the routes."""
    api = _routed(partial(_lifespan, site))
    api.state.site = site
    api.state.uploads = files.new_upload_limiter()
    refusals = ExceptionHandlers(site.request_log)
    api.add_exception_handler(HTTPException, refusals.on_http_exception)
    api.add_exception_handler(RequestValidationError, refusals.on_validation_error)
    api.add_exception_handler(LocalrunError, refusals.on_localrun_error)
    return SecurityMiddleware(api, site.options, site.request_log.log_rejection)


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document, without a server: every request, what it takes and what it answers."""
    return _openapi(_routed())


def _routed(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None) -> FastAPI:
    api = FastAPI(
        title=_TITLE,
        version=__version__,
        description="Runs containerised tasks on this machine.",
        lifespan=lifespan,
        docs_url=None,  # theirs loads scripts from the internet
        redoc_url=None,
        redirect_slashes=False,
    )
    for routes in (tasks, health, actions, streams, files, bundles):
        # taken over one by one: a router that is included is one more to go through for each request
        api.router.routes.extend(routes.router.routes)
    api.openapi = partial(_openapi, api)  # type: ignore[method-assign]
    return api


@asynccontextmanager
async def _lifespan(site: ServerState, _: FastAPI) -> AsyncIterator[None]:
    await anyio.to_thread.run_sync(site.start)
    heartbeat = HeartbeatEmitter(
        site.journal,
        host=site.host_sample,
        running=lambda: site.running_count,
        waiting=lambda: site.waiting_count,
        interval=site.options.heartbeat,
    )
    heartbeat.start()
    try:
        yield
    finally:
        site.broadcaster.close()
        await anyio.to_thread.run_sync(heartbeat.stop)


def _openapi(api: FastAPI) -> dict[str, Any]:
    if not api.openapi_schema:
        made = get_openapi(
            title=api.title, version=api.version, description=api.description, routes=api.routes
        )
        _, found = models_json_schema([(model, "validation") for model in _REQUESTS], ref_template=_REFS)
        made["components"]["schemas"].update(found["$defs"])
        api.openapi_schema = made
    return api.openapi_schema
