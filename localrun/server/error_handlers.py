"""What went wrong, as an HTTP status and a `detail`: the one table outward of this face."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
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
)
from localrun.server.bundle_store import BundleExists, BundleTooLarge
from localrun.server.request_log import RequestLog
from localrun.server.responses import json_response

# the first that fits; a request that can never succeed as it is: 422, one that may later: 409, 503 or 507
_STATUSES: list[tuple[type[LocalrunError], int]] = [
    (ShuttingDown, 503),
    (BundleTooLarge, 413),
    (BundleExists, 409),
    (TaskNotFound, 404),
    (TaskExists, 409),
    (BundleError, 422),
    (DescriptorError, 422),
    (ImageError, 422),
    (InputsError, 422),
    (AdmissionError, 422),
    (EngineError, 503),
]


def status_of(error: LocalrunError) -> int:
    """The status that tells of an error."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    if isinstance(error, UsageError):
        return 422 if error.problems else 409
    return 507 if error.cause in (Cause.DISK_FULL, Cause.DISK_UNAVAILABLE) else 500


def detail_of(error: LocalrunError, status: int) -> Any:
    """The `detail`: a list of items for 422, as everywhere in this API, else a text."""
    if status != 422:
        return _text(error)
    if not error.problems:
        return [_item(error, Problem("", error.message, error.remedy))]
    return [_item(error, problem) for problem in error.problems]


def _text(error: LocalrunError) -> str:
    text = "; ".join(part for part in (error.message, error.remedy) if part)
    return text[:1].upper() + text[1:]


def _item(error: LocalrunError, problem: Problem) -> dict[str, Any]:
    where = [] if not problem.path else problem.path.split(".")
    message = "; ".join(part for part in (problem.message, problem.remedy) if part)
    return {
        "type": str(error.cause).lower(),
        "loc": ["body", "task", *where],
        "msg": message,
        "input": None,
        "ctx": {"error": error.message, **problem.as_dict()},
    }


class ExceptionHandlers:
    """Answers what the routes raise, and has a line of each refusal written."""

    def __init__(self, minutes: RequestLog) -> None:
        self._minutes = minutes

    def _refuse(self, request: Request, status: int, detail: Any, **headers: str) -> Response:
        self._minutes.log_rejection(request.method, request.url.path, status, detail)
        return json_response({"detail": detail}, status, headers)

    async def on_http_exception(self, request: Request, error: Exception) -> Response:
        """No such path, a method that a path has not, a body that is too large."""
        assert isinstance(error, HTTPException)
        return self._refuse(request, error.status_code, error.detail, **dict(error.headers or {}))

    async def on_validation_error(self, request: Request, error: Exception) -> Response:
        """A body or a parameter that does not fit."""
        assert isinstance(error, RequestValidationError)
        return self._refuse(request, 422, [_plain(item) for item in error.errors()])

    async def on_localrun_error(self, request: Request, error: Exception) -> Response:
        """Whatever localrun says."""
        assert isinstance(error, LocalrunError)
        status = status_of(error)
        return self._refuse(request, status, detail_of(error, status))


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item without what is only for programmers, and whose values JSON can hold."""
    kept: dict[str, Any] = {key: item[key] for key in ("type", "loc", "msg", "input") if key in item}
    context = item.get("ctx")
    return {**kept, "ctx": {key: str(value) for key, value in context.items()}} if context else kept


class log_failures:  # noqa: N801 - used as a function
    """A context: what fails in it, and is no refusal, is answered with 500 and `words: what failed`.

    As the guide's world has it: `Failed to create task: ...`. The traceback goes to the log of errors.
    """

    def __init__(self, minutes: RequestLog, action: str, words: str) -> None:
        self._minutes = minutes
        self._action = action
        self._words = words

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not _is_refusal(error):
            self._minutes.log_failure(self._action, self._words, error)
            raise HTTPException(500, f"{self._words}: {error}") from error


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, LocalrunError):
        return status_of(error) != 500
    return isinstance(error, (HTTPException, RequestValidationError))
