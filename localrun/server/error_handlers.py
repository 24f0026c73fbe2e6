"""Converts errors to an HTTP status and a `detail`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from localrun.errors import (
    AdmissionError,
    BundleError,
    Cause,
    DescriptorError,
    EngineError,
    ImageError,
    InputsError,
    LocalrunError,
    Problem,
    ShuttingDown,
    TaskExists,
    TaskNotFound,
    UsageError,
    out_of_memory,
)
from localrun.server.bundle_store import BundleExists, BundleTooLarge
from localrun.server.methods import allowed_methods
from localrun.server.rejection import Rejection, error_content, error_response, is_page_path
from localrun.server.request_log import RequestLog
from localrun.suggestions import did_you_mean

_ROW = re.compile(r"row (\d+)(?:, column (.*))?", re.DOTALL)  # of a batch, from 1

# the first match counts; 422: the request can never succeed as it is; 409, 503, 507: it may succeed later
_STATUSES: list[tuple[int, tuple[type[LocalrunError], ...]]] = [
    (503, (ShuttingDown,)),
    (413, (BundleTooLarge,)),
    (409, (BundleExists, TaskExists)),
    (404, (TaskNotFound,)),
    (422, (BundleError, DescriptorError, ImageError, InputsError, AdmissionError)),
    (503, (EngineError,)),
]


def status_of(error: LocalrunError) -> int:
    for status, types in _STATUSES:
        if isinstance(error, types):
            return status
    if isinstance(error, UsageError):
        return 422 if error.problems else 409
    if error.cause is Cause.MEMORY_UNAVAILABLE:
        return 503
    return 507 if error.cause in (Cause.DISK_FULL, Cause.DISK_UNAVAILABLE) else 500


def detail_of(error: LocalrunError, status: int) -> Any:
    """Return the `detail`: a list of problems for 422, as everywhere in this API, else a string."""
    if status != 422:
        text = _text(error)
        return text[:1].upper() + text[1:]
    problems = error.problems or [Problem("", error.message, error.remedy)]
    return [_item(error, problem) for problem in problems]


def _text(part: LocalrunError | Problem) -> str:
    return "; ".join(text for text in (part.message, part.remedy) if text)


def _item(error: LocalrunError, problem: Problem) -> dict[str, Any]:
    return {
        "type": str(error.cause).lower(),
        "loc": ["body", *_location(problem.path)],
        "msg": _text(problem),
        "input": None,
        "ctx": {"error": error.message, **problem.as_dict()},
    }


def _location(path: str) -> list[str | int]:
    if row := _ROW.fullmatch(path):
        return ["rows", int(row[1]), *filter(None, [row[2]])]
    return ["task", *(path.split(".") if path else [])]


class ExceptionHandlers:
    """Converts the exceptions of the routes to responses, and logs them."""

    def __init__(self, log: RequestLog) -> None:
        self._log = log

    def _reject(
        self, request: Request, status: int, content: dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> Response:
        path = request.scope["path"]
        self._log.log_rejection(request.method, path, status, content["detail"])
        # a mistyped address is shown to a person
        is_page = is_page_path(path) or not allowed_methods(request.app.routes, request.scope)
        return error_response(request.method, request.headers, status, content, headers, is_page=is_page)

    async def on_http_exception(self, request: Request, error: Exception) -> Response:
        """Handle unknown paths, methods that are not allowed, and bodies that are too large."""
        assert isinstance(error, HTTPException)
        if not isinstance(error, Rejection):
            error = _explained(request, error)
        return self._reject(request, error.status_code, error.content, error.headers)

    async def on_validation_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return self._reject(request, 422, error_content([_serializable(item) for item in error.errors()]))

    async def on_localrun_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, LocalrunError)
        status = status_of(error)
        return self._reject(request, status, error_content(detail_of(error, status), error.remedy))

    async def on_disconnect(self, _request: Request, _error: Exception) -> Response:
        """Handle a client that went away while it sent a request. It gets no response."""
        return Response(status_code=400)


def _explained(request: Request, error: HTTPException) -> Rejection:
    """Return the error of an unknown path or method with what is possible instead."""
    path, methods = request.scope["path"], allowed_methods(request.app.routes, request.scope)
    if error.status_code == 405:
        allowed = ", ".join(methods)
        detail = f"Method {request.method} is not allowed for {path[:200]}"
        return Rejection(405, detail, f"use one of: {allowed}", {"Allow": allowed})
    if error.status_code == 404 and not methods:
        known = {route.path for route in request.app.routes if route.path != "/" and "{" not in route.path}
        hint = did_you_mean(path, known) or "see /docs for all paths"
        return Rejection(404, f"Unknown path {path[:200]}", hint)
    return Rejection(error.status_code, str(error.detail), "", error.headers)


def _serializable(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the public keys of a validation error, with values that JSON can represent."""
    public: dict[str, Any] = {key: item[key] for key in ("type", "loc", "msg", "input") if key in item}
    context = item.get("ctx")
    return {**public, "ctx": {key: str(value) for key, value in context.items()}} if context else public


class log_failures:  # noqa: N801 - used like a function
    """A context that logs an unexpected exception and answers 500 with `summary: exception`.

    The Task System's guide defines this format, e.g. `Failed to create task: ...`.
    """

    def __init__(self, log: RequestLog, action: str, summary: str) -> None:
        self._log = log
        self._action = action
        self._summary = summary

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        lost = None if error is None else out_of_memory(error)
        error = lost or error
        if isinstance(error, Exception) and not _is_rejection(error):
            self._log.log_failure(self._action, self._summary, error)
            raise HTTPException(500, f"{self._summary}: {error}") from error
        if lost is not None:
            raise lost


def _is_rejection(error: Exception) -> bool:
    if isinstance(error, LocalrunError):
        return status_of(error) != 500
    return isinstance(error, (HTTPException, RequestValidationError, ClientDisconnect))
