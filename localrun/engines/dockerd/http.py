"""An HTTP/1.1 client over a socket, with streamed bodies in both directions.

The standard library's client takes longer to import than the engine takes to create a container, and parses
headers with the e-mail parser.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

import httptools

CHUNK = 64 * 1024

Body = bytes | Iterable[bytes] | None


class BrokenResponse(Exception):
    """The connection was closed in the middle of a response, or the response is not HTTP."""


def send_request(
    sock: socket.socket, host: str, method: str, path: str, *, body: Body, headers: Mapping[str, str]
) -> None:
    """Send a request; a body that is not `bytes` is sent in chunks. Raises `OSError`."""
    if body is None or isinstance(body, bytes):
        length = {} if body is None else {"Content-Length": str(len(body))}
        sock.sendall(_head(method, path, {"Host": host, **headers, **length}) + (body or b""))
        return
    sock.sendall(_head(method, path, {"Host": host, **headers, "Transfer-Encoding": "chunked"}))
    for part in body:
        if len(part) >= CHUNK:  # not copied
            sock.sendall(b"%x\r\n" % len(part))
            sock.sendall(part)
            sock.sendall(b"\r\n")
        elif part:  # an empty chunk is the last one
            sock.sendall(b"%x\r\n%b\r\n" % (len(part), part))
    sock.sendall(b"0\r\n\r\n")


def _head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError(f"line break in a request header: {lines!r}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class HttpResponse:
    """A response with complete headers; its body is streamed. Raises `OSError` and `BrokenResponse`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._has_headers = False
        self.is_complete = False
        self.keep_alive = False  # whether the connection can be reused once the response is complete
        self.status = 0
        while not self._has_headers:
            self._receive()

    def header(self, name: str) -> str:
        """Return a header, empty if it is missing."""
        return self._headers.get(name.lower(), "")

    def read(self) -> bytes:
        """Return the next part of the body; empty at its end."""
        while not self._parts and not self.is_complete:
            self._receive()
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _receive(self) -> None:
        data = self._sock.recv(CHUNK)
        if not data:
            self._on_close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.keep_alive = False
            if self.is_complete:
                return
            raise BrokenResponse(f"invalid HTTP response: {error}") from error

    def _on_close(self) -> None:
        """Handle a closed connection, which ends a body of unknown length."""
        if not self._has_headers or {"content-length", "transfer-encoding"} & self._headers.keys():
            raise BrokenResponse("connection closed")
        self.is_complete = True

    # -- called by the parser ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Reject a second response, which would be read as the response to the next request."""
        if self.is_complete:
            raise BrokenResponse("unexpected second response")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Finish the headers, unless they are those of an interim response such as 100 Continue."""
        self.status = self._parser.get_status_code()
        self._has_headers = self.status >= 200
        if self._has_headers:
            self.keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self.is_complete = self._has_headers
