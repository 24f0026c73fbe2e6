"""Access checks that run before anything else handles a request."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localrun.server.config import ServerOptions
from localrun.server.journal import REQUEST_ID
from localrun.server.responses import json_response
from localrun.units import format_bytes

RejectionCallback = Callable[[str, str, int, object], None]  # method, path, status, detail

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN = frozenset({"/docs", "/openapi.json"})  # describe the API and contain no data


@dataclass(frozen=True, slots=True)
class Rejection:
    """The status and the detail of a rejected request."""

    status: int
    detail: str


class Headers:
    """The headers of a request, by lower-case name."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[bytes, list[str]] = {}
        for name, value in raw:
            self._values.setdefault(name.lower(), []).append(value.decode("latin-1"))

    def get_single(self, name: bytes) -> str | None:
        """Return the value of a header, or None if it is missing or repeated."""
        found = self._values.get(name, [])
        return found[0] if len(found) == 1 else None

    def has(self, name: bytes) -> bool:
        """Return whether the header is present."""
        return name in self._values


class SecurityMiddleware:
    """An ASGI middleware that rejects other web sites, missing tokens and bodies that are too large.

    A browser sends `Origin` with the requests of a page of another site, and the host name of the page as
    `Host` after DNS rebinding. `on_rejection` is called for each rejected request.
    """

    def __init__(self, app: ASGIApp, options: ServerOptions, on_rejection: RejectionCallback) -> None:
        self._app = app
        self._options = options
        self._names = options.allowed_hosts
        self._token = f"Bearer {options.token}".encode() if options.token else None
        self._on_rejection = on_rejection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        REQUEST_ID.set(os.urandom(4).hex())
        limit = self._limit(scope)
        rejection = self._check(scope, limit)
        if rejection is None:
            await self._app(scope, _limited(receive, limit), send)
            return
        self._on_rejection(scope["method"], scope["path"], rejection.status, rejection.detail)
        headers = {"WWW-Authenticate": "Bearer"} if rejection.status == 401 else {}
        await json_response({"detail": rejection.detail}, rejection.status, headers)(scope, receive, send)

    def _check(self, scope: Scope, limit: int) -> Rejection | None:
        headers = Headers(scope["headers"])
        return (
            self._check_host(headers)
            or self._check_origin(scope, headers)
            or self._check_token(scope, headers)
            or _check_length(headers, limit)
        )

    def _check_host(self, headers: Headers) -> Rejection | None:
        host = _host_name(headers.get_single(b"host"))
        if host is None:
            return Rejection(400, "Exactly one Host header is required")
        if self._names is not None and host not in self._names:
            names = ", ".join(sorted(self._names))
            return Rejection(421, f"Unknown host name {host[:100]!r}; expected one of: {names}")
        return None

    def _check_origin(self, scope: Scope, headers: Headers) -> Rejection | None:
        if headers.has(b"origin"):
            origin = headers.get_single(b"origin") or ""
            if _host_of(origin) != (headers.get_single(b"host") or "").lower():
                return Rejection(403, f"Requests from other web sites ({origin[:100]}) are not allowed")
        elif headers.get_single(b"sec-fetch-site") == "cross-site" and scope["method"] not in _SAFE_METHODS:
            return Rejection(403, "Requests from other web sites are not allowed")
        return None

    def _check_token(self, scope: Scope, headers: Headers) -> Rejection | None:
        if self._token is None or scope["path"] in _OPEN:
            return None
        given = (headers.get_single(b"authorization") or "").encode("latin-1")
        if hmac.compare_digest(given, self._token):
            return None
        return Rejection(401, "Missing or invalid token; send `Authorization: Bearer TOKEN`")

    def _limit(self, scope: Scope) -> int:
        path: str = scope["path"]
        is_input = scope["method"] == "PUT" and path.startswith("/task/") and "/inputs/" in path
        is_bundle = scope["method"] == "POST" and path == "/bundle"
        return self._options.upload_limit if is_input or is_bundle else self._options.body_limit


@lru_cache(maxsize=16)
def _host_name(host: str | None) -> str | None:
    """Return the name in a Host header without the port."""
    try:
        return urlsplit(f"//{host}").hostname if host else None
    except ValueError:
        return None


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _check_length(headers: Headers, limit: int) -> Rejection | None:
    length = headers.get_single(b"content-length") or ""
    if length.isascii() and length.isdigit() and int(length[:20]) > limit:
        return Rejection(413, _too_large(limit))
    return None


def _too_large(limit: int) -> str:
    return f"The request body is larger than {format_bytes(limit)}"


def _limited(receive: Receive, limit: int) -> Receive:
    """Return `receive` with a limit on the bytes received: a chunked body announces no length."""
    remaining = limit

    async def counted() -> Message:
        nonlocal remaining
        message = await receive()
        remaining -= len(message.get("body", b""))
        if remaining < 0:
            raise HTTPException(413, _too_large(limit))
        return message

    return counted
