"""Reads and validates JSON request bodies, whatever their content type."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from localrun.server.schemas import Batch, Submission

Model = TypeVar("Model", bound=BaseModel)


async def read_submission(request: Request) -> Submission | Batch:
    """Read a task or a batch. Raises `RequestValidationError` with every problem."""
    found = await read_json(request)
    is_batch = isinstance(found, dict) and isinstance(found.get("task"), list)
    return validate(found, Batch) if is_batch else validate(found, Submission)


async def read_json(request: Request, default: Any = None) -> Any:
    """Return the decoded JSON body, or `default` if it is empty. Raises `RequestValidationError`.

    The content type is ignored, because `curl -d` sends that of a form.
    """
    data = await request.body()
    if not data.strip():
        if default is not None:
            return default
        raise _invalid({"type": "missing", "loc": ("body",), "msg": "Field required", "input": None})
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _invalid(_syntax_error(data, error)) from None


def validate(found: Any, model: type[Model]) -> Model:
    """Return the body as `model`. Raises `RequestValidationError`."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=True)
        raise _invalid(*({**item, "loc": ("body", *item["loc"])} for item in items)) from None


def _invalid(*items: dict[str, Any]) -> RequestValidationError:
    return RequestValidationError(list(items))


def _syntax_error(data: bytes, error: Exception) -> dict[str, Any]:
    """Return a syntax error with its position, as the standard library reports it."""
    position, message = 0, str(error)
    try:
        json.loads(data)
    except json.JSONDecodeError as found:
        position, message = found.pos, found.msg
    except UnicodeDecodeError as found:
        position, message = found.start, "not UTF-8"
    except RecursionError:
        message = "nested too deeply"
    return {
        "type": "json_invalid",
        "loc": ("body", position),
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": message},
    }
