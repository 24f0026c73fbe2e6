"""How bytes get to the engine and back: connections that are kept, shared by threads, and closed."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Protocol

from localrun.engines.dockerd.address import Address
from localrun.errors import Cause, EngineUnreachable

CHUNK = 64 * 1024
CONNECT_SECONDS = 15.0
BROKEN = (OSError, HTTPException)  # every way in which a plain connection ends early

Body = bytes | Iterable[bytes] | None


class Response(Protocol):
    """An answer whose body has not been read yet. Close it, or read it to its end."""

    status: int

    def header(self, name: str) -> str:
        """One header; empty when it is not there."""

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes in. Raises `EngineUnreachable` when the engine goes away meanwhile."""

    def close(self) -> None:
        """Let go of it; a connection whose answer was not read to its end is closed."""


class Transport(Protocol):
    """One way to send a request; safe to use from several threads."""

    def request(self, method: str, path: str, body: Body, headers: Mapping[str, str]) -> Response:
        """Send it, and give the answer as soon as its headers are there."""

    def close(self) -> None:
        """Close every connection; answers that are still being read end with an error."""


def lost(address: Address, why: BaseException | str) -> EngineUnreachable:
    """The engine was there, and went away in the middle of a call."""
    return EngineUnreachable(
        f"the engine at {address.url} went away: {why or 'the connection was closed'}",
        remedy="see whether it still runs (`docker info`); its log says why it ended",
        cause=Cause.ENGINE_LOST,
        address=address.url,
    )


def unreachable(address: Address, why: OSError) -> EngineUnreachable:
    """Nothing answers at the address."""
    named = f" (from {address.named_by})" if address.named_by else ""
    return EngineUnreachable(
        f"no container engine answers at {address.url}{named}: {why.strerror or why}",
        remedy=_remedy(address, why),
        address=address.url,
    )


def _remedy(address: Address, why: OSError) -> str:
    if isinstance(why, PermissionError):
        return "add yourself to the group of the socket: `sudo usermod -aG docker $USER`, then log in again"
    if address.named_by:
        return f"correct or unset {address.named_by}, or start the engine there"
    return "start the engine: `sudo systemctl start docker` (here: `make docker`), or set DOCKER_HOST"


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(self._path)
        except BaseException:
            made.close()
            raise
        self.sock = made


class _TcpConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        # A host that vanishes without a word would otherwise be waited for without end.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        self.sock.settimeout(None)


class SocketTransport:
    """Plain HTTP over a unix or TCP socket. Connections are kept and reused."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._idle: list[HTTPConnection] = []
        self._busy: set[HTTPConnection] = set()

    def request(self, method: str, path: str, body: Body, headers: Mapping[str, str]) -> Response:
        """Send it over a kept connection if there is one that still lives, else over a new one."""
        connection, kept = self._take()
        try:
            return self._send(connection, method, path, body, headers)
        except BaseException as error:
            self._drop(connection)
            # The engine may have acted on anything but a question before it went away.
            if not (kept and method == "GET" and isinstance(error, BROKEN)):
                raise self._told(error) from error
        connection = self._open()
        try:
            return self._send(connection, method, path, body, headers)
        except BaseException as error:
            self._drop(connection)
            raise self._told(error) from error

    def close(self) -> None:
        """Close what is idle, and wake up who waits for an answer."""
        with self._lock:
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for connection in idle:
            connection.close()
        for connection in busy:
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def give_back(self, connection: HTTPConnection) -> None:
        """Keep a connection for the next request."""
        with self._lock:
            self._busy.discard(connection)
            self._idle.append(connection)

    def _drop(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._busy.discard(connection)
        connection.close()

    drop = _drop

    def _take(self) -> tuple[HTTPConnection, bool]:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
                if connection:
                    self._busy.add(connection)
            if connection is None:
                return self._open(), False
            if not _is_stale(connection):
                return connection, True
            self._drop(connection)

    def _open(self) -> HTTPConnection:
        connection = self._new()
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise unreachable(self.address, error) from error
        with self._lock:
            self._busy.add(connection)
        return connection

    def _new(self) -> HTTPConnection:
        if self.address.scheme == "unix":
            return _UnixConnection(self.address.socket_path)
        host, port = self.address.host_and_port
        return _TcpConnection(host, port, timeout=CONNECT_SECONDS)

    def _send(
        self, connection: HTTPConnection, method: str, path: str, body: Body, headers: Mapping[str, str]
    ) -> Response:
        upload = body is not None and not isinstance(body, bytes)
        sent = {**headers, "Transfer-Encoding": "chunked"} if upload else dict(headers)
        early: OSError | None = None
        try:
            connection.request(method, path, body=body, headers=sent, encode_chunked=upload)
        except (BrokenPipeError, ConnectionResetError) as error:
            if not upload:
                raise
            early = error  # an engine that refuses an upload answers before it has read it all
        try:
            answer = connection.getresponse()
        except BROKEN as error:
            raise (early or error) from error
        return SocketResponse(self, connection, answer)

    def _told(self, error: BaseException) -> BaseException:
        return lost(self.address, error) if isinstance(error, BROKEN) else error


def _is_stale(connection: HTTPConnection) -> bool:
    """Whether the other side has closed it: an idle connection has nothing to say but good-bye."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


class SocketResponse:
    """An answer over a kept connection, which goes back when the answer was read to its end."""

    def __init__(self, transport: SocketTransport, connection: HTTPConnection, answer: HTTPResponse) -> None:
        self.status = answer.status
        self._transport = transport
        self._connection: HTTPConnection | None = connection
        self._answer = answer

    def header(self, name: str) -> str:
        """One header; empty when it is not there."""
        return self._answer.getheader(name) or ""

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes in."""
        try:
            while chunk := self._answer.read1(CHUNK):
                yield chunk
        except BROKEN as error:
            raise lost(self._transport.address, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back if it can be used again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        ended = self._answer.isclosed() or self._answer.length == 0
        self._answer.close()
        if ended and not self._answer.will_close:
            self._transport.give_back(connection)
        else:
            self._transport.drop(connection)
