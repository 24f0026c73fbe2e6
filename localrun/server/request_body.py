"""What a request asks for: its JSON body, read whatever it says its type is, and checked."""

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
    """A task or a list of them. Raises `RequestValidationError` with all that is wrong."""
    found = await read_json(request)
    several = isinstance(found, dict) and isinstance(found.get("task"), list)
    return validate(found, Batch) if several else validate(found, Submission)


async def read_json(request: Request, default: Any = None) -> Any:
    """The body as JSON; of an empty one the default. Raises `RequestValidationError`.

    Without the content type of JSON too: `curl -d` names another one by itself.
    """
    data = await request.body()
    if not data.strip():
        if default is not None:
            return default
        raise _wrong({"type": "missing", "loc": ("body",), "msg": "Field required", "input": None})
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _wrong(_no_json(data, error)) from None


def validate(found: Any, model: type[Model]) -> Model:
    """The body in its form. Raises `RequestValidationError`."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=True)
        raise _wrong(*({**item, "loc": ("body", *item["loc"])} for item in items)) from None


def _wrong(*items: dict[str, Any]) -> RequestValidationError:
    return RequestValidationError(list(items))


def _no_json(data: bytes, error: Exception) -> dict[str, Any]:
    """What is wrong and where, in the words of the standard library, which names the character."""
    place, words = 0, str(error)
    try:
        json.loads(data)
    except json.JSONDecodeError as found:
        place, words = found.pos, found.msg
    except UnicodeDecodeError as found:
        place, words = found.start, "not UTF-8"
    except RecursionError:
        words = "nested too deeply"
    return {
        "type": "json_invalid",
        "loc": ("body", place),
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": words},
    }
