"""HTTP/1.1 over a socket: requests as bytes, and answers as they come in, read by httptools.

The standard library's client takes longer to import than the engine to make a container, and reads the
headers of an answer as if they were an e-mail.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

import httptools

CHUNK = 64 * 1024

Body = bytes | Iterable[bytes] | None


class BrokenResponse(Exception):
    """The other side hung up in the middle of an answer, or what it says is no HTTP."""


def send_request(
    sock: socket.socket, host: str, method: str, path: str, *, body: Body, headers: Mapping[str, str]
) -> None:
    """Send a request; a body that is no bytes goes in chunks, as it comes. Raises `OSError`."""
    in_parts = body is not None and not isinstance(body, bytes)
    length = {"Transfer-Encoding": "chunked"} if in_parts else {}
    if isinstance(body, bytes):
        length = {"Content-Length": str(len(body))}
    head = _head(method, path, {"Host": host, **headers, **length})
    if body is None or isinstance(body, bytes):
        sock.sendall(head + (body or b""))
        return
    sock.sendall(head)
    for part in body:
        if part:  # an empty chunk is the last one
            sock.sendall(b"%x\r\n%b\r\n" % (len(part), part))
    sock.sendall(b"0\r\n\r\n")


def _head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError(f"a line of a request holds the end of a line: {lines!r}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class HttpResponse:
    """An answer whose head has come; its body is read as it comes. Raises `OSError` and `BrokenResponse`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._is_headed = False
        self.is_complete = False
        self.keep_alive = False  # whether the connection can be used again once the answer is complete
        self.status = 0
        while not self._is_headed:
            self._take()

    def header(self, name: str) -> str:
        """One header; empty when it is not there."""
        return self._headers.get(name.lower(), "")

    def read(self) -> bytes:
        """The next part of the body; empty at its end."""
        while not self._parts and not self.is_complete:
            self._take()
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take(self) -> None:
        data = self._sock.recv(CHUNK)
        if not data:
            self._end()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.keep_alive = False
            if self.is_complete:
                return
            raise BrokenResponse(f"what it says is no HTTP that is known here: {error}") from error

    def _end(self) -> None:
        """The other side has hung up: a body of no known length ends so."""
        if not self._is_headed or {"content-length", "transfer-encoding"} & self._headers.keys():
            raise BrokenResponse("the connection was closed")
        self.is_complete = True

    # -- called by the parser ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A second answer is one that nobody has asked for: the next request shall not get it."""
        if self.is_complete:
            raise BrokenResponse("an answer too many")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the head."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is there, unless it is that of a word on the way, such as 100 Continue."""
        self.status = self._parser.get_status_code()
        self._is_headed = self.status >= 200
        if self._is_headed:
            self.keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """The last part has come."""
        self.is_complete = self._is_headed
