"""The answers, by what they are about."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from localrun.server.schemas import ErrorResponse, ValidationErrorResponse

Responses = dict[int | str, dict[str, Any]]

_WORDS = {
    400: "The request has no usable Host header, or cannot be read.",
    401: "The token is missing or wrong.",
    403: "A page of another site asks.",
    404: "There is no such task, bundle or file.",
    409: "It cannot be done in the present state.",
    413: "The body is too large.",
    415: "A form was sent in place of a file.",
    416: "The file has no such part.",
    421: "The server is not called so.",
    500: "The server failed.",
    503: "No container engine answers, or the server is shutting down.",
    507: "The disk is full.",
}
_ALWAYS = (400, 401, 403, 413, 421, 500)


class RawRoute(APIRoute):
    """A route whose function takes the request as it is: there is nothing to find out for it first."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers: the function itself."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


def responses(model: Any = None, *more: int, media: str = "application/json") -> Responses:
    """What a route can answer: its own answer, what everything can answer, and `more`."""
    good: dict[str, Any] = {"description": "Done."}
    if model is not None:
        good["model"] = model
    else:
        is_stream = media == "text/event-stream"  # whose schema is that of one event
        good["content"] = {media: {"schema": {"type": "object" if is_stream else "string"}}}
    found: Responses = {200: good}
    for status in sorted({*_ALWAYS, *more} - {422}):
        found[status] = {"model": ErrorResponse, "description": _WORDS[status]}
    found[422] = {"model": ValidationErrorResponse, "description": "Something in the request does not fit."}
    return found


def json_body(model: Any, *, required: bool = True) -> dict[str, Any]:
    """How a body that a route reads by itself is described."""
    names = [one.__name__ for one in (model if isinstance(model, tuple) else (model,))]
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def raw_body(what: str) -> dict[str, Any]:
    """The same for a body that is a file."""
    schema = {"type": "string", "format": "binary"}
    content = {"application/octet-stream": {"schema": schema}}
    return {"requestBody": {"description": what, "required": True, "content": content}}
