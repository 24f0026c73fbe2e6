"""Access checks that run before anything else handles a request."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localrun.server.appengine.paths import PING, find_path, without_secret
from localrun.server.appengine.rejections import rejection_response
from localrun.server.config import ServerOptions
from localrun.server.journal import REQUEST_ID
from localrun.server.page.sessions import Sessions
from localrun.server.rejection import Rejection, error_response, is_page_path
from localrun.units import format_bytes

RejectionCallback = Callable[[str, str, int, object], None]  # method, path, status, detail

Values = dict[bytes, str | None]  # of headers, by name in lower case

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEALTH = frozenset({"/health/live", "/health/ready", PING})
_OPEN = _HEALTH | {"/docs", "/openapi.json", "/favicon.ico", "/session"}  # without data of tasks
_WITH_FILES = ("/task/", "/batch/")
_VALUE_LIMIT = 64 * 1024**2  # bytes of a value in JSON, as long as a geometry may be, and of a batch
_CODES = "/session/codes"  # also with the key of the server's file
_HOW_TO_AUTHENTICATE = (
    'send the token with each request, e.g. `curl -H "Authorization: Bearer $LOCALRUN_TOKEN" URL`; '
    "it was set with `localrun serve --token` or in LOCALRUN_TOKEN"
)


class SecurityMiddleware:
    """An ASGI middleware that rejects other web sites, missing tokens and bodies that are too large.

    A browser sends `Origin` with the requests of a page of another site, and the host name of the page as
    `Host` after DNS rebinding. `on_rejection` is called for each rejected request.
    """

    def __init__(
        self,
        app: ASGIApp,
        options: ServerOptions,
        on_rejection: RejectionCallback,
        sessions: Sessions | None = None,
    ) -> None:
        self._app = app
        self._options = options
        self._names = options.allowed_hosts
        self._sessions = sessions or Sessions(options.token)
        self._on_rejection = on_rejection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        REQUEST_ID.set(os.urandom(4).hex())
        limit = self._limit(scope)
        scope, ticket = _without_ticket(scope)
        try:
            self._check(scope, _values(scope), limit, ticket)
        except Rejection as error:
            path = without_secret(scope["path"])
            self._on_rejection(scope["method"], path, error.status_code, error.detail)
            await _rejection_response(scope, error)(scope, receive, send)
        else:
            seconds = self._options.connections.body_seconds
            await self._app(scope, _limited(receive, limit, seconds), send)

    def _check(self, scope: Scope, values: Values, limit: int, ticket: str | None) -> None:
        host = values.get(b"host")
        self._check_host(host)
        if b"origin" in values:
            origin = values[b"origin"] or ""
            if _host_of(origin) != (host or "").lower():
                raise _foreign(f" ({origin[:100]})")
        elif values.get(b"sec-fetch-site") == "cross-site" and scope["method"] not in _SAFE_METHODS:
            raise _foreign()
        if not _is_open(scope):
            self._check_token(scope["path"], values.get(b"authorization") or "", ticket)
        _check_encoding(values.get(b"content-encoding", ""))
        length = values.get(b"content-length") or ""
        if length.isascii() and length.isdigit() and int(length[:20]) > limit:
            raise _too_large(limit)

    def _check_host(self, host: str | None) -> None:
        name = _host_name(host)
        if name is None:
            raise Rejection(400, "Exactly one Host header is required", "send e.g. `Host: localhost`")
        if self._options.accepts_addresses and _is_address(name):
            return
        if self._names is not None and name not in self._names:
            names = ", ".join(sorted(self._names))
            detail = f"Unknown host name {name[:100]!r}; expected one of: {names}"
            raise Rejection(421, detail, f"use one of these, or `localrun serve --name {name[:100]}`")

    def _check_token(self, path: str, sent: str, ticket: str | None) -> None:
        if self._sessions.is_authorized(sent) or (path == _CODES and self._sessions.has_key(sent)):
            return
        if ticket is not None and not self._sessions.use_ticket(ticket, path):
            raise Rejection(401, "The ticket is unknown, used or expired", "start the download again")
        if ticket is None:
            detail = "Missing or invalid token; send `Authorization: Bearer TOKEN`"
            raise Rejection(401, detail, _HOW_TO_AUTHENTICATE, {"WWW-Authenticate": "Bearer"})

    def _limit(self, scope: Scope) -> int:
        path: str = scope["path"]
        if find_path(scope) is not None:
            kind = Headers(scope=scope).get("content-type", "")
            return self._options.upload_limit if kind.startswith("multipart/") else _VALUE_LIMIT
        is_input = scope["method"] == "PUT" and path.startswith("/task/") and "/inputs/" in path
        is_bundle = scope["method"] == "POST" and path == "/bundle"
        if path == "/batch" or path.startswith("/batch/"):
            return max(_VALUE_LIMIT, self._options.body_limit)
        return self._options.upload_limit if is_input or is_bundle else self._options.body_limit


def _is_open(scope: Scope) -> bool:
    """Return whether a request needs no token."""
    path: str = scope["path"]
    return path in _OPEN or (find_path(scope) is None and is_page_path(path))


def _rejection_response(scope: Scope, error: Rejection) -> Response:
    """Return the response to a rejected request, in the format of the API that it was sent to."""
    headers = Headers(scope=scope)
    if find_path(scope) is not None:
        return rejection_response(error, scope)
    is_page = is_page_path(scope["path"])
    return error_response(
        scope["method"], headers, error.status_code, error.content, error.headers, is_page=is_page
    )


def _without_ticket(scope: Scope) -> tuple[Scope, str | None]:
    """Return a GET request of a task's or batch's file without the ticket in its query, and the ticket."""
    query: bytes = scope["query_string"]
    if b"ticket=" not in query or scope["method"] != "GET" or not scope["path"].startswith(_WITH_FILES):
        return scope, None
    parts = query.split(b"&")
    tickets = [part.removeprefix(b"ticket=") for part in parts if part.startswith(b"ticket=")]
    if len(tickets) != 1:
        return scope, None
    rest = b"&".join(part for part in parts if not part.startswith(b"ticket="))
    return {**scope, "query_string": rest}, tickets[0].decode("ascii", "replace")


def _values(scope: Scope) -> Values:
    """Return the values of the headers; None for a repeated one."""
    found: Values = {}
    for name, value in scope["headers"]:
        found[name] = None if name in found else value.decode("latin-1")
    return found


@lru_cache(maxsize=16)
def _host_name(host: str | None) -> str | None:
    """Return the name in a Host header without the port."""
    try:
        return urlsplit(f"//{host}").hostname if host else None
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _foreign(origin: str = "") -> Rejection:
    detail = f"Requests from other web sites{origin} are not allowed"
    return Rejection(403, detail, "send the request from a program, or from a page of this server")


def _check_encoding(encoding: str | None) -> None:
    if encoding is None or encoding.strip().lower() not in ("", "identity"):
        shown = "of several headers" if encoding is None else repr(encoding[:100])
        detail = f"The content encoding {shown} is not supported"
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
