"""The application that answers App Engine's API."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localrun._version import __version__
from localrun.server.appengine import deviations, paths, responses
from localrun.server.appengine.documentation import document
from localrun.server.appengine.routes import health, provisions, run_files, runs, stores, tasks
from localrun.server.appengine.routing import ORIGINAL_PATH, add_error_handlers
from localrun.server.appengine.service import AppEngine
from localrun.server.methods import MethodsMiddleware

_ROUTES = (health, stores, tasks, provisions, run_files, runs)


def make_app_engine_api(service: AppEngine) -> ASGIApp:
    """Return the application. It answers requests that `AppEnginePathMiddleware` has marked."""
    api = routed()
    api.state.app_engine = service
    return _HeadersMiddleware(MethodsMiddleware(api, api.routes))


def routed() -> FastAPI:
    """Return the routes without a server, which is enough for the OpenAPI document."""
    api = FastAPI(
        title="App Engine",
        version=__version__,
        description="App Engine's API, answered by localrun.",
        servers=[{"url": prefix.rstrip("/")} for prefix in paths.DEFAULT_PREFIXES],
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for routes in _ROUTES:
        api.router.routes.extend(routes.router.routes)
    add_error_handlers(api)
    describe = api.openapi
    api.openapi = lambda: api.openapi_schema or document(describe())  # type: ignore[method-assign]
    return api


class AppEngineDispatcher:
    """Passes the marked requests to App Engine's API, and the others to the API of localrun."""

    def __init__(self, app: ASGIApp, app_engine: ASGIApp) -> None:
        self._app = app
        self._app_engine = app_engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = paths.find_path(scope) if scope["type"] == "http" else None
        if path is None:
            await self._app(scope, receive, send)
            return
        original = scope["path"]
        inner = {**scope, "path": path, "root_path": "", ORIGINAL_PATH: original}
        await self._app_engine(inner, receive, send)


class _HeadersMiddleware:
    """Adds the headers of every response of App Engine, and a warning for each deviation."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, deviations.SCOPE_KEY: []}
            send = partial(_send, scope, send)
        await self._app(scope, receive, send)


async def _send(scope: Scope, send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        for name, value in response_headers(scope).items():
            headers[name] = value
        message["headers"].extend(deviations.warning_headers(scope))
    await send(message)


def response_headers(scope: Scope) -> dict[str, str]:
    """Return the headers of every response; for a browser also those that allow its page to read it."""
    given = Headers(scope=scope)
    origin = given.get("origin")
    if origin is None:
        return responses.HEADERS
    return {
        **responses.HEADERS,
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
        **(_preflight(given) if scope["method"] == "OPTIONS" else {}),
    }


def _preflight(given: Headers) -> dict[str, str]:
    """Return what a browser asks for before it sends a request with other headers than usual."""
    wanted = given.get("access-control-request-headers", "*")
    methods = "GET, POST, PUT, DELETE, OPTIONS, PATCH"
    return {"Access-Control-Allow-Methods": methods, "Access-Control-Allow-Headers": wanted}


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of the API without starting a server."""
    return routed().openapi()
