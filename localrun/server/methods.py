"""The methods that every path has: HEAD wherever there is GET, and OPTIONS."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localrun.server.responses import SAFE_HEADERS


def allowed_methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Return the methods of the path of a request; an empty list if no route has the path."""
    found = [
        route for route in routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
    ]
    # `/task/list` is not a task
    exact = [route for route in found if not route.param_convertors]
    methods = {method for route in exact or found for method in route.methods or ()}
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods | {"OPTIONS"}) if methods else []


class _HeadersSent(Exception):
    """The response to a HEAD request is complete."""


class MethodsMiddleware:
    """An ASGI middleware that answers OPTIONS, and HEAD with the headers of GET."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["type"] == "http" else ""
        if method == "OPTIONS" and (allowed := allowed_methods(self._routes, scope)):
            response = Response(status_code=204, headers={**SAFE_HEADERS, "Allow": ", ".join(allowed)})
            await response(scope, receive, send)
        elif method == "HEAD":
            with suppress(_HeadersSent):
                await self._app({**scope, "method": "GET"}, receive, _headers_only(send))
        else:
            await self._app(scope, receive, send)


def _headers_only(send: Send) -> Send:
    """Return `send` without the body. It ends the application, because a stream would not end."""

    async def send_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
        elif message["type"] == "http.response.body":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            raise _HeadersSent

    return send_headers
