"""How bytes get to the engine and back: connections that are kept, shared by threads, and closed."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping

from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.connections import Connection, new_connection
from localrun.engines.dockerd.http import Body, BrokenResponse, HttpResponse, send_request
from localrun.errors import Cause, EngineUnreachable

CONNECTION_ERRORS = (OSError, BrokenResponse)  # every way in which a plain connection ends early


def connection_lost(address: Address, why: BaseException | str) -> EngineUnreachable:
    """The engine was there, and went away in the middle of a call."""
    return EngineUnreachable(
        f"the engine at {address.url} went away: {why or 'the connection was closed'}",
        remedy="see whether it still runs (`docker info`); its log says why it ended",
        cause=Cause.ENGINE_LOST,
        address=address.url,
    )


def unreachable(address: Address, why: OSError) -> EngineUnreachable:
    """Nothing answers at the address."""
    named = f" (from {address.source})" if address.source else ""
    return EngineUnreachable(
        f"no container engine answers at {address.url}{named}: {why.strerror or why}",
        remedy=_remedy(address, why),
        address=address.url,
    )


def _remedy(address: Address, why: OSError) -> str:
    if isinstance(why, PermissionError):
        return "add yourself to the group of the socket: `sudo usermod -aG docker $USER`, then log in again"
    if address.source:
        return f"correct or unset {address.source}, or start the engine there"
    return "start the engine: `sudo systemctl start docker` (here: `make docker`), or set DOCKER_HOST"


class _UploadFailed(Exception):
    """What is being sent could not be read: an error of its source, not of the connection."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error


def _reading(body: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from body
    except OSError as error:
        raise _UploadFailed(error) from error


class Transport:
    """HTTP over connections that are kept and reused. Safe to use from several threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._busy: dict[Connection, int] = {}  # by the thread that waits for each
        self._closed = False

    def request(self, method: str, path: str, body: Body, headers: Mapping[str, str]) -> Response:
        """Send it over a kept connection if there is one that still lives, else over a new one."""
        connection, kept = self._take()
        try:
            return self._send(connection, method, path, body, headers)
        except CONNECTION_ERRORS as error:
            told = self._told(error, connection, kept)
            # The engine may have acted on anything but a question before it went away.
            if not kept or method != "GET":
                raise told from error
        except _UploadFailed as failed:
            self.discard(connection)
            raise failed.error from None
        except BaseException:
            self.discard(connection)
            raise
        return self.request(method, path, body, headers)

    def close(self) -> None:
        """Close what is idle, and wake up who waits for an answer."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
            busy = list(self._busy)
        for connection in idle:
            connection.close()
        for connection in busy:
            _hang_up(connection)

    def abandon(self, thread: int) -> None:
        """Break off the call that a thread waits in: it fails there as if the engine had gone away."""
        with self._lock:
            calls = [connection for connection, ident in self._busy.items() if ident == thread]
        for connection in calls:
            _hang_up(connection)

    def release(self, connection: Connection) -> None:
        """Keep a connection for the next request, unless there will be none."""
        with self._lock:
            self._busy.pop(connection, None)
            keep = not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def discard(self, connection: Connection) -> None:
        """Close a connection that is of no use any more."""
        with self._lock:
            self._busy.pop(connection, None)
        connection.close()

    def _take(self) -> tuple[Connection, bool]:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
                if connection:
                    self._busy[connection] = threading.get_ident()
            if connection is None:
                return self._open(), False
            if not _is_stale(connection):
                return connection, True
            self.discard(connection)

    def _open(self) -> Connection:
        connection = new_connection(self.address)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise unreachable(self.address, error) from error
        with self._lock:
            self._busy[connection] = threading.get_ident()
        return connection

    def _send(
        self, connection: Connection, method: str, path: str, body: Body, headers: Mapping[str, str]
    ) -> Response:
        upload = body is not None and not isinstance(body, bytes)
        data = body if body is None or isinstance(body, bytes) else _reading(body)
        early: OSError | None = None
        try:
            send_request(connection.sock, connection.host, method, path, body=data, headers=headers)
        except (BrokenPipeError, ConnectionResetError) as error:
            if not upload:
                raise
            early = error  # an engine that refuses an upload answers before it has read it all
        try:
            answer = HttpResponse(connection.sock)
        except CONNECTION_ERRORS as error:
            raise (early or error) from error
        return Response(self, connection, answer)

    def _told(self, error: Exception, connection: Connection, kept: bool) -> EngineUnreachable:
        self.discard(connection)
        complaint = connection.complaint()
        if complaint and not kept:
            return unreachable(self.address, OSError(complaint))
        return connection_lost(self.address, error)


def _hang_up(connection: Connection) -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _is_stale(connection: Connection) -> bool:
    """Whether the other side has closed it: an idle connection has nothing to say but good-bye."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


class Response:
    """An answer over a kept connection, which goes back when the answer was read to its end."""

    def __init__(self, transport: Transport, connection: Connection, answer: HttpResponse) -> None:
        self.status = answer.status
        self._transport = transport
        self._connection: Connection | None = connection
        self._answer = answer

    def header(self, name: str) -> str:
        """One header; empty when it is not there."""
        return self._answer.header(name)

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes in."""
        try:
            while chunk := self._answer.read():
                yield chunk
        except CONNECTION_ERRORS as error:
            raise connection_lost(self._transport.address, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back if it can be used again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._answer.is_complete and self._answer.keep_alive:
            self._transport.release(connection)
        else:
            self._transport.discard(connection)
