"""Building blocks of routes: responses and request bodies in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from inspect import iscoroutinefunction
from typing import Annotated, Any

from fastapi import Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from localrun.server.schemas import ErrorResponse, ValidationErrorResponse
from localrun.server.strict_query import check_query, query_defaults, query_names

Responses = dict[int | str, dict[str, Any]]
Grace = Annotated[
    float | None, Query(ge=0, le=600, description="Seconds until containers are killed by force.")
]

_DESCRIPTIONS = {
    400: "The Host header is missing, or the request is malformed.",
    401: "The token is missing or invalid.",
    403: "The request comes from another web site.",
    404: "The task, bundle or file was not found.",
    409: "Not possible in the current state.",
    408: "The request did not arrive in time.",
    413: "The request body is too large.",
    414: "The URL is too long.",
    415: "The body is compressed, is a form instead of a file, or the image cannot be shown.",
    416: "The range starts after the end of the file.",
    421: "The host name is unknown.",
    431: "The request headers are too large.",
    500: "Internal server error.",
    501: "An optional package is not installed.",
    503: "The container engine is unavailable, or the server is shutting down.",
    507: "The disk is full.",
}
BINARY: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_ALWAYS = (400, 401, 403, 408, 413, 414, 415, 421, 431, 500)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that accepts no unknown query parameters."""

    def get_route_handler(self) -> Handler:
        return self._strict(super().get_route_handler())

    def _strict(self, handler: Handler) -> Handler:
        known, short = query_names(self.dependant), self._without_query() or handler

        async def checked(request: Request) -> Response:
            if not request.scope["query_string"]:
                return await short(request)
            check_query(request, known)
            return await handler(request)

        return checked

    def _without_query(self) -> Handler | None:
        """Return a handler of requests without a query that skips FastAPI's validation; None if it is needed.

        FastAPI takes a quarter of the time of a small request to find out that all parameters are missing.
        """
        needed = self.dependant
        name = needed.request_param_name
        others = (needed.path_params, needed.header_params, needed.cookie_params, needed.body_params)
        if any(others) or needed.dependencies or name is None or not iscoroutinefunction(self.endpoint):
            return None
        defaults = query_defaults(needed)
        return None if defaults is None else lambda request: self.endpoint(**{name: request}, **defaults)


class RawRoute(StrictRoute):
    """A route whose function takes only the request, without dependency injection."""

    def get_route_handler(self) -> Handler:
        return self._strict(self.endpoint)


def responses(model: Any = None, *more: int, media: str = "application/json") -> Responses:
    """Return the documented responses of a route: its own, the common ones, and the statuses `more`."""
    success: dict[str, Any] = {"description": "Success."}
    if model is not None:
        success["model"] = model
    else:
        is_stream = media == "text/event-stream"  # its schema is that of one event
        success["content"] = {media: {"schema": {"type": "object" if is_stream else "string"}}}
    found: Responses = {200: success}
    for status in sorted({*_ALWAYS, *more} - {422}):
        found[status] = {"description": _DESCRIPTIONS[status], "content": _refer(ErrorResponse)}
    found[422] = {"description": "The request is invalid.", "content": _refer(ValidationErrorResponse)}
    return found


def _refer(model: type) -> dict[str, Any]:
    """Return the content of a response; if it named the model, FastAPI would make a validator."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def json_body(model: Any, *, required: bool = True) -> dict[str, Any]:
    """Return the description of a JSON body that the route reads itself."""
    names = [one.__name__ for one in (model if isinstance(model, tuple) else (model,))]
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def raw_body(description: str) -> dict[str, Any]:
    return {"requestBody": {"description": description, "required": True, "content": BINARY}}
