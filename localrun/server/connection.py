"""The connection of a client: limits on its request heads, and on the time that it may take."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Literal

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from localrun.server.config import ConnectionLimits
from localrun.server.rejection import Rejection
from localrun.server.responses import SAFE_HEADERS
from localrun.units import format_bytes

RejectionCallback = Callable[[str, str, int, object], None]  # method, path, status, detail

_PIECE = 16 * 1024  # bytes to parse at once: the parser keeps an incomplete header, however long it is
_LINE = 4  # bytes of a header besides its name and its value
# a client that is gone without a word is noticed after two minutes
_PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class LimitedProtocol(HttpToolsProtocol):
    """A connection whose client has to send its requests in time.

    A request is in the phase `head` until its headers are complete, then in `body`. Between requests, and
    while a request is answered, the phase is `idle`. The time between two reads of a body is limited where
    the body is read; here it is only limited once the response has been sent.
    """

    def __init__(
        self, *args: Any, limits: ConnectionLimits, on_rejection: RejectionCallback, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._on_rejection = on_rejection
        self._phase: Literal["head", "body", "idle"] = "head"
        self._timer: asyncio.TimerHandle | None = None
        self._head_size = 0  # bytes of the current head
        self._unparsed = 0  # bytes received since the parser found something
        self._violation: Rejection | None = None
        self._is_discarding = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _probe(transport)
        self._set_timer(self._limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_discarding:
            return
        self._unset_keepalive_if_required()
        if self._phase == "idle":
            self._phase = "head"
            self._set_timer(self._limits.head_seconds)
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            rejection = self._parse(view[start : start + _PIECE])
            if rejection is not None:
                self._reject(rejection)
                return

    def _parse(self, data: memoryview) -> Rejection | None:
        self._unparsed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return None  # answered as HTTP/1.1
        except httptools.HttpParserError:
            return self._violation or Rejection(
                400, "Invalid HTTP request", "send HTTP/1.1; HTTPS is not supported"
            )
        return _too_large(self._limits.head_size) if self._unparsed > self._limits.head_size else None

    # -- callbacks of the parser -----------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = "head"
        self._head_size = self._unparsed = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url), _url_too_long)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _LINE, _too_large)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._phase, self._unparsed = "body", 0
        self._set_timer(None)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase, self._unparsed = "idle", 0
        self._set_timer(None)
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._phase == "body" and self.cycle.response_complete:  # the rest of the body is not needed
            self._set_timer(self._limits.linger_seconds)

    def _count(self, size: int, rejection: Callable[[int], Rejection]) -> None:
        """Count bytes of a head. Raises `Rejection`, which stops the parser."""
        self._unparsed = 0
        self._head_size += size
        if self._head_size > self._limits.head_size:
            self._violation = rejection(self._limits.head_size)
            raise self._violation

    # -- ends of a connection --------------------------------------------------------------------

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._on_timeout)

    def _on_timeout(self) -> None:
        self._timer = None
        if self._is_discarding or self._phase != "head" or not (self._head_size or self._unparsed):
            self.transport.close()
            return
        seconds = self._limits.head_seconds
        self._reject(Rejection(408, f"The request headers were not complete after {seconds:g} seconds"))

    def _reject(self, rejection: Rejection) -> None:
        """Answer what cannot be parsed, and close the connection: nothing after it can be parsed either."""
        self._is_discarding = True
        self._set_timer(None)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._phase == "head":  # of the request after it
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        self._log(rejection)
        self.transport.write(_encoded(rejection))
        # a client that still sends would not see the response if the connection was closed now
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._set_timer(self._limits.linger_seconds)

    def _log(self, rejection: Rejection) -> None:
        path = getattr(self, "url", b"")[:200].decode("latin-1")
        self._on_rejection("-", path, rejection.status_code, rejection.detail)


def _encoded(rejection: Rejection) -> bytes:
    body = msgspec.json.encode(rejection.content)
    headers = {
        **SAFE_HEADERS,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[rejection.status_code] + lines.encode() + b"\r\n" + body


def _too_large(limit: int) -> Rejection:
    size = format_bytes(limit)
    return Rejection(431, f"The request headers are larger than {size}", "send fewer or shorter headers")


def _url_too_long(limit: int) -> Rejection:
    size = format_bytes(limit)
    return Rejection(414, f"The URL is longer than {size}", "send data in the body of the request")


def _probe(transport: asyncio.Transport) -> None:
    """Let the kernel probe an idle client, and close the connection if it is gone."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
