"""Access checks that run before anything else handles a request."""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localrun.server.config import ServerOptions
from localrun.server.journal import REQUEST_ID
from localrun.server.rejection import Rejection, error_response, is_page_path
from localrun.units import format_bytes

RejectionCallback = Callable[[str, str, int, object], None]  # method, path, status, detail

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN = frozenset({"/docs", "/openapi.json", "/favicon.ico"})  # describe the API and contain no data
_HOW_TO_AUTHENTICATE = (
    'send the token with each request, e.g. `curl -H "Authorization: Bearer $LOCALRUN_TOKEN" URL`; '
    "it was set with `localrun serve --token` or in LOCALRUN_TOKEN"
)


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
        except Rejection as error:
            self._on_rejection(scope["method"], scope["path"], error.status_code, error.detail)
            response = error_response(
                scope["method"],
                Headers(scope=scope),
                error.status_code,
                error.content,
                error.headers,
                is_page=is_page_path(scope["path"]),
            )
            await response(scope, receive, send)
        else:
            seconds = self._options.connections.body_seconds
            await self._app(scope, _limited(receive, limit, seconds), send)

    def _check(self, scope: Scope, headers: Headers, limit: int) -> None:
        host = _single(headers, "host")
        self._check_host(host)
        if "origin" in headers:
            origin = _single(headers, "origin") or ""
            if _host_of(origin) != (host or "").lower():
                raise _foreign(f" ({origin[:100]})")
        elif _single(headers, "sec-fetch-site") == "cross-site" and scope["method"] not in _SAFE_METHODS:
            raise _foreign()
        if scope["path"] not in _OPEN and not is_page_path(scope["path"]):
            self._check_token(_single(headers, "authorization") or "")
        _check_encoding(headers.get("content-encoding", ""))
        length = _single(headers, "content-length") or ""
        if length.isascii() and length.isdigit() and int(length[:20]) > limit:
            raise _too_large(limit)

    def _check_host(self, host: str | None) -> None:
        name = _host_name(host)
        if name is None:
            raise Rejection(400, "Exactly one Host header is required", "send e.g. `Host: localhost`")
        if self._names is not None and name not in self._names:
            names = ", ".join(sorted(self._names))
            detail = f"Unknown host name {name[:100]!r}; expected one of: {names}"
            raise Rejection(421, detail, f"use one of these, or `localrun serve --name {name[:100]}`")

    def _check_token(self, sent: str) -> None:
        if self._token is not None and not hmac.compare_digest(sent.encode("latin-1"), self._token):
            detail = "Missing or invalid token; send `Authorization: Bearer TOKEN`"
            raise Rejection(401, detail, _HOW_TO_AUTHENTICATE, {"WWW-Authenticate": "Bearer"})

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


def _foreign(origin: str = "") -> Rejection:
    detail = f"Requests from other web sites{origin} are not allowed"
    return Rejection(403, detail, "send the request from a program, or from a page of this server")


def _check_encoding(encoding: str) -> None:
    if encoding.strip().lower() not in ("", "identity"):
        detail = f"The content encoding {encoding[:100]!r} is not supported"
        hint = "send the body without compression and without a Content-Encoding header"
        raise Rejection(415, detail, hint, {"Accept-Encoding": "identity"})


def _too_large(limit: int) -> Rejection:
    return Rejection(413, f"The request body is larger than {format_bytes(limit)}")


def _too_slow(seconds: float) -> Rejection:
    detail = f"Nothing of the request body arrived for {seconds:g} seconds"
    return Rejection(408, detail, "send the request again", {"Connection": "close"})


def _limited(receive: Receive, limit: int, seconds: float) -> Receive:
    """Return `receive` with a limit on the bytes received and on the time between two messages.

    A chunked body announces no length. After the body, `receive` waits for the end of the connection.
    """
    remaining = limit
    is_complete = False

    async def counted() -> Message:
        nonlocal remaining, is_complete
        if is_complete:
            return await receive()
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise _too_slow(seconds) from None
        is_complete = not message.get("more_body", False)
        remaining -= len(message.get("body", b""))
        if remaining < 0:
            raise _too_large(limit)
        return message

    return counted
