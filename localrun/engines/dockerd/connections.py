"""Connections to an engine: unix socket, TCP, TLS and ssh."""

from __future__ import annotations

import socket
import struct
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from localrun.engines.dockerd.address import Address

if TYPE_CHECKING:
    import subprocess

CONNECT_SECONDS = 15.0
_CREDENTIALS = struct.Struct("3i")  # pid, uid and gid
KEEPALIVE_SECONDS = 30


class Connection:
    """One connection to an engine. `sock` is its socket after `connect`."""

    host = "localhost"  # the Host header of requests
    sock: socket.socket

    def connect(self) -> None:
        """Open the socket. Raises `OSError`."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the socket, if it was opened."""
        if "sock" in self.__dict__:
            self.sock.close()

    def error_output(self) -> str:
        """Return the error output of a helper program; empty for most kinds of connections."""
        return ""


def new_connection(address: Address) -> Connection:
    """Return an unopened connection of the address's kind."""
    if address.scheme == "unix":
        return UnixConnection(address.socket_path)
    if address.scheme == "ssh":
        return SshConnection(address.url)
    if address.uses_tls:
        return TlsConnection(address)
    return TcpConnection(address)


class UnixConnection(Connection):
    """A connection over a unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        self.sock = sock


def engine_pid(address: Address) -> int | None:
    """Return the process that listens on a unix socket; None for other addresses, and if none answers.

    A socket of systemd is that of process 1, whatever the engine.
    """
    if address.scheme != "unix":
        return None
    connection = UnixConnection(address.socket_path)
    try:
        connection.connect()
        credentials = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    finally:
        connection.close()
    pid: int = _CREDENTIALS.unpack(credentials)[0]
    return pid or None  # 0: it runs in another container


class TcpConnection(Connection):
    """A connection over TCP, without a response timeout; keepalives detect a dead host."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.host = urlsplit(address.url).netloc

    def connect(self) -> None:
        self.sock = self._open()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):  # not on every system
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
        self.sock.settimeout(None)

    def _open(self) -> socket.socket:
        return socket.create_connection(self.address.host_and_port, CONNECT_SECONDS)


class TlsConnection(TcpConnection):
    """A connection over TLS, with a client certificate if there is one."""

    def _open(self) -> socket.socket:
        from localrun.engines.dockerd.tls import tls_context

        context = tls_context(self.address)
        plain = super()._open()  # its time limit also applies to the handshake
        try:
            return context.wrap_socket(plain, server_hostname=self.address.host_and_port[0])
        except BaseException:
            plain.close()
            raise


class SshConnection(Connection):
    """A connection over the user's `ssh`, which runs `docker system dial-stdio` on the remote host."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._error_output = ""

    def connect(self) -> None:
        """Start ssh. A failure shows up with the first response only."""
        import shutil
        import subprocess
        import tempfile

        program = shutil.which("ssh")
        if program is None:
            raise OSError("the program `ssh` is not installed")
        self.sock, remote_end = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the connection
        with remote_end:
            self._process = subprocess.Popen(
                [program, *self._arguments()],
                stdin=remote_end.fileno(),
                stdout=remote_end.fileno(),
                stderr=self._stderr,
                start_new_session=True,  # survive Ctrl+C: the cleanup needs this connection
            )

    def error_output(self) -> str:
        """Return the error output of ssh; available once the connection is closed."""
        return self._error_output

    def close(self) -> None:
        """Close the socket and wait for ssh to end."""
        super().close()
        process, self._process = self._process, None
        if process:
            process.terminate()
            process.wait()
        if self._stderr:
            self._stderr.seek(0)
            self._error_output = self._stderr.read().decode(errors="replace").strip()
            self._stderr.close()
            self._stderr = None

    def _arguments(self) -> list[str]:
        user = ["-l", self._url.username] if self._url.username else []
        port = ["-p", str(self._url.port)] if self._url.port else []
        options = ["-o", f"ConnectTimeout={CONNECT_SECONDS:.0f}", "-T", *user, *port]
        path = self._url.path.rstrip("/")  # of the socket on the remote host, as in docker
        host = ["--host", f"unix://{path}"] if path else []
        return [*options, "--", self._url.hostname or "", "docker", *host, "system", "dial-stdio"]
