"""HTTP requests over a thread-safe pool of connections to the engine."""

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

CONNECTION_ERRORS = (OSError, BrokenResponse)  # the errors of a connection that ends early


def connection_lost(address: Address, why: BaseException | str) -> EngineUnreachable:
    """Return the error for an engine that stopped responding in the middle of a call."""
    return EngineUnreachable(
        f"lost the connection to the engine at {address.url}: {why or 'connection closed'}",
        remedy="check that the engine is running: `docker info`",
        cause=Cause.ENGINE_LOST,
        address=address.url,
    )


def unreachable(address: Address, why: OSError) -> EngineUnreachable:
    """Return the error for an address without an engine."""
    named = f" (from {address.source})" if address.source else ""
    return _explained(address, why, handshake=True) or EngineUnreachable(
        f"cannot connect to a container engine at {address.url}{named}: {why.strerror or why}",
        remedy=_remedy(address, why),
        address=address.url,
        source=address.why,
    )


def _explained(address: Address, why: BaseException, *, handshake: bool = False) -> EngineUnreachable | None:
    if not address.uses_tls:
        return None
    from localrun.engines.dockerd.tls import explain

    return explain(address, why, handshake=handshake)


def _remedy(address: Address, why: OSError) -> str:
    if isinstance(why, PermissionError):
        return "add yourself to the socket's group: `sudo usermod -aG docker $USER`, then log in again"
    if address.context:
        return "start the engine there, or choose another context: `docker context use NAME`"
    if address.source:
        return f"correct or unset {address.source}, or start the engine there"
    if "Podman" in address.kind:
        user = "--user " if "rootless" in address.kind else ""
        return f"start Podman's service: `systemctl {user}start podman.socket`"
    return "start the engine: `sudo systemctl start docker` (or `make docker`), or set DOCKER_HOST"


class _UploadFailed(Exception):
    """The body of a request could not be read; the connection itself did not fail."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error


def _wrap_read_errors(body: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from body
    except OSError as error:
        raise _UploadFailed(error) from error


class Transport:
    """HTTP requests over reused connections. Thread-safe."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._busy: dict[Connection, int] = {}  # -> the thread that waits for it
        self._closed = False

    def request(self, method: str, path: str, body: Body, headers: Mapping[str, str]) -> Response:
        """Send a request over an idle connection if one is still open, else over a new one."""
        connection, kept = self._acquire()
        try:
            return self._send(connection, method, path, body, headers)
        except CONNECTION_ERRORS as error:
            failure = self._connection_error(error, connection, kept)
            # the engine may have executed anything but a GET before the connection was lost
            if not kept or method != "GET":
                raise failure from error
        except _UploadFailed as failed:
            self.discard(connection)
            raise failed.error from None
        except BaseException:
            self.discard(connection)
            raise
        return self.request(method, path, body, headers)

    def close(self) -> None:
        """Close idle connections and abort the calls in progress."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
            busy = list(self._busy)
        for connection in idle:
            connection.close()
        for connection in busy:
            _hang_up(connection)

    def abandon(self, thread: int) -> None:
        """Abort the call that a thread waits for; it fails there like a lost connection."""
        with self._lock:
            calls = [connection for connection, ident in self._busy.items() if ident == thread]
        for connection in calls:
            _hang_up(connection)

    def claim(self, connection: Connection) -> None:
        """Note that this thread waits for a connection that another thread has opened."""
        with self._lock:
            if connection in self._busy:
                self._busy[connection] = threading.get_ident()

    def release(self, connection: Connection) -> None:
        """Return a connection to the pool, or close it if the pool is closed."""
        with self._lock:
            self._busy.pop(connection, None)
            keep = not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def discard(self, connection: Connection) -> None:
        """Close a connection that cannot be reused."""
        with self._lock:
            self._busy.pop(connection, None)
        connection.close()

    def _acquire(self) -> tuple[Connection, bool]:
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
        data = body if body is None or isinstance(body, bytes) else _wrap_read_errors(body)
        uses_tls, early = self.address.uses_tls, None
        try:
            target = self.address.prefix + path
            send_request(connection.sock, connection.host, method, target, body=data, headers=headers)
        except OSError as error:
            is_closed = uses_tls or isinstance(error, BrokenPipeError | ConnectionResetError)
            if not (is_closed and (upload or uses_tls)):
                raise
            early = error  # an engine that rejects an upload, or a certificate, says so before it reads all
        try:
            response = HttpResponse(connection.sock)
        except CONNECTION_ERRORS as error:
            raise (error if uses_tls else early or error) from error
        return Response(self, connection, response)

    def _connection_error(self, error: Exception, connection: Connection, kept: bool) -> EngineUnreachable:
        self.discard(connection)
        error_output = connection.error_output()
        if error_output and not kept:
            return unreachable(self.address, OSError(error_output))
        return _explained(self.address, error) or connection_lost(self.address, error)


def _hang_up(connection: Connection) -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _is_stale(connection: Connection) -> bool:
    """Return whether the engine has closed an idle connection, on which it would send nothing else."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


class Response:
    """A response whose connection returns to the pool once it was read to its end."""

    def __init__(self, transport: Transport, connection: Connection, response: HttpResponse) -> None:
        self.status = response.status
        self._transport = transport
        self._connection: Connection | None = connection
        self._response = response

    def header(self, name: str) -> str:
        """Return a header, empty if it is missing."""
        return self._response.header(name)

    def fileno(self) -> int:
        """Return the descriptor of the open connection."""
        assert self._connection is not None
        return self._connection.sock.fileno()

    def send(self, data: bytes) -> None:
        """Send data on a connection that the engine has switched to a stream in both directions."""
        if self._connection is not None:
            with contextlib.suppress(OSError):  # the other side has ended
                self._connection.sock.sendall(data)

    def end_input(self) -> None:
        """Close the sending direction of the connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_WR)

    def chunks(self) -> Iterator[bytes]:
        if self._connection is not None:
            self._transport.claim(self._connection)
        try:
            while chunk := self._response.read():
                yield chunk
        except CONNECTION_ERRORS as error:
            raise connection_lost(self._transport.address, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Return the connection to the pool if it can be reused, else close it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._response.is_complete and self._response.keep_alive:
            self._transport.release(connection)
        else:
            self._transport.discard(connection)
