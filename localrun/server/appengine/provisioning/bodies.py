"""Read the JSON bodies of provisions, in which App Engine refuses unknown keys."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from starlette.requests import Request

from localrun.descriptor.types import TYPES
from localrun.server.appengine.errors import null_pointer, server_error, unreadable_body, unreadable_provision

_TYPES = {name.upper() for name in TYPES}
_PROVISION = {"parameterName", "value", "type"}
_ITEM = {*_PROVISION, "index"}


class Provision(NamedTuple):
    """The name of an input in a body, and its value."""

    name: str
    value: Any


async def read_json(request: Request) -> Any:
    """Return the JSON body of a request. Raises `AppEngineError`, also for another content type."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise server_error(f"Content-Type '{kind}' is not supported")
    try:
        return json.loads(await request.body(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise unreadable_body() from None


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request. Raises `AppEngineError`."""
    body = await read_json(request)
    if not isinstance(body, dict):
        raise unreadable_body()
    return body


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_provision(body: Any) -> Provision:
    """Return the provision in a body. Raises `AppEngineError`."""
    _check_keys(body, _PROVISION)
    name = body.get("parameterName")
    if name is not None and not isinstance(name, str):
        raise unreadable_provision()
    return Provision(name or "", _value(body))


def read_item(body: Any) -> Any:
    """Return the value of an item of an array in a body. Raises `AppEngineError`."""
    _check_keys(body, _ITEM)
    return _value(body)


def _check_keys(body: Any, known: set[str]) -> None:
    if not isinstance(body, dict) or not body.keys() <= known:
        raise unreadable_provision()
    kind = body.get("type")
    if kind is not None and not (isinstance(kind, str) and kind in _TYPES):
        raise unreadable_provision()


def _value(body: dict[str, Any]) -> Any:
    if "value" not in body:
        raise null_pointer()
    return body["value"]
