"""The class of the routes: handlers read the path parameters, and failures are errors of App Engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from localrun.errors import LocalrunError
from localrun.server.appengine.errors import AppEngineError, server_error
from localrun.server.appengine.paths import without_secret
from localrun.server.appengine.rejections import as_app_engine_error
from localrun.server.appengine.responses import error_response
from localrun.server.appengine.service import AppEngine
from localrun.server.error_handlers import log_failures
from localrun.server.rejection import Rejection

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

ORIGINAL_PATH = "localrun.original_path"  # the key of the whole path in the scope of a request
_PARAMETER = re.compile(r"\{(\w+)\}")


class AppEngineRoute(APIRoute):
    """A route whose function takes only the request. Unknown query parameters are ignored."""

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, openapi_extra: Any = None, **options: Any
    ) -> None:
        extra = dict(openapi_extra or {})
        names = [{"name": name, "in": "path", "required": True} for name in _PARAMETER.findall(path)]
        parameters = [{**name, "schema": {"type": "string"}} for name in names]
        extra["parameters"] = [*parameters, *extra.get("parameters", ())]
        super().__init__(path, endpoint, openapi_extra=extra, **options)

    def get_route_handler(self) -> Handler:
        handler: Handler = self.endpoint

        async def answer(request: Request) -> Response:
            with log_failures(service(request).request_log, "app_engine", "Failed to answer"):
                return await handler(request)

        return answer


def router() -> APIRouter:
    """Return a router for a group of routes. Their functions take only the request."""
    return APIRouter(prefix="/v1", route_class=AppEngineRoute, tags=["app-engine"])


def service(request: Request) -> AppEngine:
    found = request.app.state.app_engine
    assert isinstance(found, AppEngine)
    return found


def add_error_handlers(api: FastAPI) -> None:
    """Answer every exception of a route with an error of App Engine."""
    for kind in (AppEngineError, HTTPException, LocalrunError):
        api.add_exception_handler(kind, _on_error)
    api.add_exception_handler(ClientDisconnect, _on_disconnect)


async def _on_error(request: Request, error: Exception) -> Response:
    found = _converted(request, error)
    path = without_secret(request.scope.get(ORIGINAL_PATH, request.scope["path"]))
    service(request).request_log.log_rejection(request.method, path, found.status_code, found.content)
    return error_response(found, request.headers, error.headers if isinstance(error, Rejection) else None)


def _converted(request: Request, error: Exception) -> AppEngineError:
    if isinstance(error, AppEngineError):
        return error
    if isinstance(error, Rejection):
        return as_app_engine_error(error, request.scope)
    if isinstance(error, LocalrunError):
        return server_error(error.message)
    assert isinstance(error, HTTPException)
    method, path = request.method, request.scope["path"]
    texts = {404: f"No static resource {path[1:]}.", 405: f"Request method '{method}' is not supported"}
    return server_error(texts.get(error.status_code, error.detail))


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    """Handle a client that went away while it sent a request. It gets no response."""
    return Response(status_code=400)
