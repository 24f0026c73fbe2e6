"""Access checks that run before anything else handles a request."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localrun.server.config import ServerOptions
from localrun.server.journal import REQUEST_ID
from localrun.server.responses import json_response
from localrun.units import format_bytes

RejectionCallback = Callable[[str, str, int, object], None]  # method, path, status, detail

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN = frozenset({"/docs", "/openapi.json"})  # describe the API and contain no data


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
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        REQUEST_ID.set(os.urandom(4).hex())
        limit = self._limit(scope)
        try:
            self._check(scope, Headers(scope=scope), limit)
        except HTTPException as error:
            self._on_rejection(scope["method"], scope["path"], error.status_code, error.detail)
            response = json_response({"detail": error.detail}, error.status_code, error.headers)
            await response(scope, receive, send)
        else:
            await self._app(scope, _limited(receive, limit), send)

    def _check(self, scope: Scope, headers: Headers, limit: int) -> None:
        host = _single(headers, "host")
        self._check_host(host)
        if "origin" in headers:
            origin = _single(headers, "origin") or ""
            if _host_of(origin) != (host or "").lower():
                raise HTTPException(403, f"Requests from other web sites ({origin[:100]}) are not allowed")
        elif _single(headers, "sec-fetch-site") == "cross-site" and scope["method"] not in _SAFE_METHODS:
            raise HTTPException(403, "Requests from other web sites are not allowed")
        if scope["path"] not in _OPEN:
            self._check_token(_single(headers, "authorization") or "")
        length = _single(headers, "content-length") or ""
        if length.isascii() and length.isdigit() and int(length[:20]) > limit:
            raise _too_large(limit)

    def _check_host(self, host: str | None) -> None:
        name = _host_name(host)
        if name is None:
            raise HTTPException(400, "Exactly one Host header is required")
        if self._names is not None and name not in self._names:
            names = ", ".join(sorted(self._names))
            raise HTTPException(421, f"Unknown host name {name[:100]!r}; expected one of: {names}")

    def _check_token(self, sent: str) -> None:
        if self._token is not None and not hmac.compare_digest(sent.encode("latin-1"), self._token):
            detail = "Missing or invalid token; send `Authorization: Bearer TOKEN`"
            raise HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})

    def _limit(self, scope: Scope) -> int:
        path: str = scope["path"]
        is_input = scope["method"] == "PUT" and path.startswith("/task/") and "/inputs/" in path
        is_bundle = scope["method"] == "POST" and path == "/bundle"
        return self._options.upload_limit if is_input or is_bundle else self._options.body_limit


def _single(headers: Headers, name: str) -> str | None:
    """Return the value of a header, or None if it is missing or repeated."""
    values = headers.getlist(name)
    return values[0] if len(values) == 1 else None


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


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"The request body is larger than {format_bytes(limit)}")


def _limited(receive: Receive, limit: int) -> Receive:
    """Return `receive` with a limit on the bytes received: a chunked body announces no length."""
    remaining = limit

    async def counted() -> Message:
        nonlocal remaining
        message = await receive()
        remaining -= len(message.get("body", b""))
        if remaining < 0:
            raise _too_large(limit)
        return message

    return counted
