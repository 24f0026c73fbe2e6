"""Reads and validates JSON request bodies, whatever their content type."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

import anyio.to_thread
import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from localrun.server.rejection import Rejection
from localrun.server.schemas import Batch, Submission

Model = TypeVar("Model", bound=BaseModel)

_LARGE = 256 * 1024  # bytes that are decoded in a thread
_MAX_DEPTH = 100  # objects and lists inside each other; far below the recursion limit of any encoder
_LONG_NUMBER = re.compile(rb"\d{19}")
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
}

Path = tuple[str | int, ...]


async def read_submission(request: Request) -> Submission | Batch:
    """Read a task or a batch. Raises `RequestValidationError` with every problem."""
    found = await read_json(request)
    is_batch = isinstance(found, dict) and isinstance(found.get("task"), list)
    return validate(found, Batch) if is_batch else validate(found, Submission)


async def read_json(request: Request, default: Any = None) -> Any:
    """Return the decoded JSON body, or `default` if it is empty.

    The content type is ignored, because `curl -d` sends that of a form. Raises `RequestValidationError`, also
    for valid JSON that cannot be stored without a loss; `Rejection` 415 for a compressed body.
    """
    data = await request.body()
    if not data.strip():
        if default is not None:
            return default
        raise _invalid({"type": "missing", "loc": ("body",), "msg": "Field required", "input": None})
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            hint = "send the JSON text itself; bundles are uploaded with POST /bundle"
            raise Rejection(415, f"The body is {name} data, not JSON", hint)
    if len(data) < _LARGE:
        return decode(data)
    return await anyio.to_thread.run_sync(decode, data)


def decode(data: bytes) -> Any:
    """Decode JSON. Raises `RequestValidationError`."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _invalid(_syntax_error(data, error)) from None
    problems = list(_losses(data, found))
    if problems:
        raise _invalid(*problems)
    return found


def validate(found: Any, model: type[Model]) -> Model:
    """Return the body as `model`. Raises `RequestValidationError`."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=True)
        raise _invalid(*({**item, "loc": ("body", *item["loc"])} for item in items)) from None


def _invalid(*items: dict[str, Any]) -> RequestValidationError:
    return RequestValidationError(list(items))


def _losses(data: bytes, found: Any) -> Iterator[dict[str, Any]]:
    """Yield what a valid JSON document has and a record cannot keep."""
    if data.count(b"[") + data.count(b"{") > _MAX_DEPTH:
        for path, _ in _walk(found):
            if len(path) > _MAX_DEPTH:
                hint = f"at most {_MAX_DEPTH} levels are allowed"
                yield _problem("too_deep", path[:3], "nested too deeply", hint)
                return
    yield from _duplicates(data, found)
    if _LONG_NUMBER.search(data):
        for path, value in _walk(found):
            if isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
                hint = "integers have at most 64 bits; send it as a string"
                yield _problem("int_parsing_size", path, "integer out of range", hint)


def _walk(value: Any) -> Iterator[tuple[Path, Any]]:
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, value = stack.pop()
        yield path, value
        if len(path) > _MAX_DEPTH:
            continue
        if isinstance(value, dict):
            stack += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            stack += [((*path, index), item) for index, item in enumerate(value)]


def _duplicates(data: bytes, decoded: Any) -> Iterator[dict[str, Any]]:
    """Yield the keys that an object has twice: only the last value would be kept."""
    if data.count(b":") == _count_keys(decoded):  # also the keys that were not kept have a colon each
        return
    found: list[str] = []

    def check(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            found.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)

    json.loads(data, object_pairs_hook=check, parse_int=len, parse_float=len)
    for key in found[:20]:
        yield _problem("duplicate_key", (key[:80],), f"duplicate key {key[:80]!r}", "keep one of them")


def _count_keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_keys, value.values()))
    return sum(map(_count_keys, value)) if isinstance(value, list) else 0


def _problem(kind: str, path: Path, message: str, remedy: str) -> dict[str, Any]:
    return {
        "type": kind,
        "loc": ("body", *path),
        "msg": f"{message}; {remedy}",
        "input": None,
        "ctx": {"error": message, "remedy": remedy},
    }


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
    except ValueError:  # the standard library converts at most 4300 digits
        message = "integer out of range; send it as a string"
    else:
        if isinstance(error, msgspec.ValidationError):
            message = "number out of range; send it as a string"
        elif b"\\u" in data:
            message = "a surrogate without its pair; send valid Unicode text"
    return {
        "type": "json_invalid",
        "loc": ("body", position),
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": message},
    }
