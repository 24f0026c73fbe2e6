"""Who may ask: checked before anything else sees the request."""

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
_OPEN = frozenset({"/docs", "/openapi.json"})  # tell nothing but what the API is


@dataclass(frozen=True, slots=True)
class Rejection:
    """The status and the words of a refusal."""

    status: int
    detail: str


class Headers:
    """The headers of a request, by lower-case name."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[bytes, list[str]] = {}
        for name, value in raw:
            self._values.setdefault(name.lower(), []).append(value.decode("latin-1"))

    def get_single(self, name: bytes) -> str | None:
        """The value of a header; None when it is not there, or there twice."""
        found = self._values.get(name, [])
        return found[0] if len(found) == 1 else None

    def has(self, name: bytes) -> bool:
        """Whether it is there."""
        return name in self._values


class SecurityMiddleware:
    """A pure ASGI middleware. No page of a stranger gets through it, nor a body that is too large.

    A browser sends `Origin` with what a page of another site asks for, and the page's own name as `Host`
    when that name was made to lead here. `refused` is told of each refusal.
    """

    def __init__(self, app: ASGIApp, options: ServerOptions, refused: RejectionCallback) -> None:
        self._app = app
        self._options = options
        self._names = options.allowed_hosts
        self._token = f"Bearer {options.token}".encode() if options.token else None
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        REQUEST_ID.set(os.urandom(4).hex())
        limit = self._limit(scope)
        refusal = self._check(scope, limit)
        if refusal is None:
            await self._app(scope, _limited(receive, limit), send)
            return
        self._refused(scope["method"], scope["path"], refusal.status, refusal.detail)
        headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
        await json_response({"detail": refusal.detail}, refusal.status, headers)(scope, receive, send)

    def _check(self, scope: Scope, limit: int) -> Rejection | None:
        headers = Headers(scope["headers"])
        return (
            self._check_host(headers)
            or self._check_origin(scope, headers)
            or self._check_token(scope, headers)
            or _check_length(headers, limit)
        )

    def _check_host(self, headers: Headers) -> Rejection | None:
        host = _name_of(headers.get_single(b"host"))
        if host is None:
            return Rejection(400, "The request must have one Host header")
        if self._names is not None and host not in self._names:
            known = ", ".join(sorted(self._names))
            return Rejection(421, f"This server is not called {host[:100]!r}; its names are {known}")
        return None

    def _check_origin(self, scope: Scope, headers: Headers) -> Rejection | None:
        if headers.has(b"origin"):
            origin = headers.get_single(b"origin") or ""
            if _place(origin) != (headers.get_single(b"host") or "").lower():
                return Rejection(403, f"Pages of other sites ({origin[:100]}) may not use this server")
        elif headers.get_single(b"sec-fetch-site") == "cross-site" and scope["method"] not in _SAFE_METHODS:
            return Rejection(403, "Pages of other sites may not use this server")
        return None

    def _check_token(self, scope: Scope, headers: Headers) -> Rejection | None:
        if self._token is None or scope["path"] in _OPEN:
            return None
        given = (headers.get_single(b"authorization") or "").encode("latin-1")
        if hmac.compare_digest(given, self._token):
            return None
        return Rejection(401, "The token is missing or wrong; send it as `Authorization: Bearer TOKEN`")

    def _limit(self, scope: Scope) -> int:
        path: str = scope["path"]
        is_input = scope["method"] == "PUT" and path.startswith("/task/") and "/inputs/" in path
        is_bundle = scope["method"] == "POST" and path == "/bundle"
        return self._options.upload_limit if is_input or is_bundle else self._options.body_limit


@lru_cache(maxsize=16)
def _name_of(host: str | None) -> str | None:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname if host else None
    except ValueError:
        return None


def _place(origin: str) -> str | None:
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
    return f"The body is larger than {format_bytes(limit)}"


def _limited(receive: Receive, limit: int) -> Receive:
    """Count what really comes: a body sent in chunks says no length."""
    room = limit

    async def counted() -> Message:
        nonlocal room
        message = await receive()
        room -= len(message.get("body", b""))
        if room < 0:
            raise HTTPException(413, _too_large(limit))
        return message

    return counted
