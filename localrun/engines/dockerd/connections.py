"""The ways to reach an engine: a unix socket, TCP, TLS, or ssh."""

from __future__ import annotations

import socket
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from localrun.engines.dockerd.address import Address
from localrun.errors import EngineUnreachable

if TYPE_CHECKING:
    import ssl
    import subprocess

CONNECT_SECONDS = 15.0
KEEPALIVE_SECONDS = 30


class Connection:
    """One connection to an engine; `sock` is its socket once `connect` was called."""

    host = "localhost"  # what a request says that it is for
    sock: socket.socket

    def connect(self) -> None:
        """Open the socket. Raises `OSError`."""
        raise NotImplementedError

    def close(self) -> None:
        """Hang up, if it was ever open."""
        if "sock" in self.__dict__:
            self.sock.close()

    def complaint(self) -> str:
        """What a helper program said before the connection was closed; empty for most kinds."""
        return ""


def new_connection(address: Address) -> Connection:
    """A connection of the address's kind, not yet made."""
    if address.scheme == "unix":
        return UnixConnection(address.socket_path)
    if address.scheme == "ssh":
        return SshConnection(address.url)
    if address.certificates or address.scheme == "https":
        return TlsConnection(address)
    return TcpConnection(address)


class UnixConnection(Connection):
    """Over a unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(self._path)
        except BaseException:
            made.close()
            raise
        self.sock = made


class TcpConnection(Connection):
    """Over TCP: no time limit for an answer, yet a host that vanishes is noticed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.host = urlsplit(address.url).netloc.rpartition("@")[2]

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.create_connection(self._address.host_and_port, CONNECT_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):  # not on every system
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
        self.sock.settimeout(None)


class TlsConnection(TcpConnection):
    """Over TLS, with the client's certificate if there is one."""

    def connect(self) -> None:
        """Open the socket and agree on the keys; the engine's certificate is checked."""
        context = _tls_context(self._address)
        super().connect()
        self.sock = context.wrap_socket(self.sock, server_hostname=self._address.host_and_port[0])


class SshConnection(Connection):
    """Over the user's own `ssh`, which runs `docker system dial-stdio` on the other side."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._process: subprocess.Popen[bytes] | None = None
        self._words: IO[bytes] | None = None
        self._said = ""

    def connect(self) -> None:
        """Start ssh; whether it gets through shows with the first answer."""
        import shutil
        import subprocess
        import tempfile

        program = shutil.which("ssh")
        if program is None:
            raise OSError("the program `ssh` is not installed")
        self.sock, theirs = socket.socketpair()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the connection
        with theirs:
            self._process = subprocess.Popen(
                [program, *self._arguments()],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._words,
                start_new_session=True,  # Ctrl+C is for us: we still have to clean up over this connection
            )

    def complaint(self) -> str:
        """What ssh said, once the connection is closed."""
        return self._said

    def close(self) -> None:
        """Hang up, and wait for ssh to end."""
        super().close()
        process, self._process = self._process, None
        if process:
            process.terminate()
            process.wait()
        if self._words:
            self._words.seek(0)
            self._said = self._words.read().decode(errors="replace").strip()
            self._words.close()
            self._words = None

    def _arguments(self) -> list[str]:
        user = ["-l", self._url.username] if self._url.username else []
        port = ["-p", str(self._url.port)] if self._url.port else []
        options = ["-o", f"ConnectTimeout={CONNECT_SECONDS:.0f}", "-T", *user, *port]
        return [*options, "--", self._url.hostname or "", "docker", "system", "dial-stdio"]


def _tls_context(address: Address) -> ssl.SSLContext:
    import ssl

    folder = address.certificates
    ca = folder / "ca.pem" if folder else None
    if folder and not (folder / "ca.pem").exists() and not (folder / "cert.pem").exists():
        raise EngineUnreachable(
            f"there are no certificates for {address.url} in {folder}",
            remedy="put ca.pem, cert.pem and key.pem there, or name another folder",
            address=address.url,
        )
    context = ssl.create_default_context(cafile=ca if ca and ca.exists() else None)
    if not address.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if folder and (folder / "cert.pem").exists():
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
