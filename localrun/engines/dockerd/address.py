"""The address of an engine: its forms, its default ports, and how it was found."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import msgspec

from localrun.errors import EngineUnreachable

DEFAULT_SOCKET = Path("/var/run/docker.sock")
ADDRESS_FORMATS = "use unix:///path/to/docker.sock, tcp://HOST:PORT or ssh://USER@HOST"
_PORT, _TLS_PORT = 2375, 2376  # docker's own
_HTTP = ("tcp", "http", "https")
# HOST:PORT, or an IP address; docker also takes a bare name, which is more likely a typing error
_WITHOUT_SCHEME = re.compile(r"(?:[\w.-]*|\[[\da-fA-F:]+\]):\d+|\d+(?:\.\d+){3}|localhost")


class Address(msgspec.Struct, frozen=True):
    """An engine's URL, how to verify it, and its origin.

    `certificates` is the folder of its TLS files (ca.pem, cert.pem, key.pem). `source` is the configuration
    that chose it, empty for a socket that was found; `kind` then names that socket. `context` is the docker
    context, if one was chosen. `overrides` is what it takes precedence over. `warnings` are about docker's
    own files.
    """

    url: str
    certificates: Path | None = None
    verify: bool = True
    source: str = ""
    tls: bool = False
    kind: str = ""
    context: str = ""
    overrides: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def scheme(self) -> str:
        """`unix`, `tcp`, `http`, `https` or `ssh`."""
        return urlsplit(self.url).scheme

    @property
    def uses_tls(self) -> bool:
        return self.scheme == "https" or (
            self.scheme in _HTTP and (self.tls or self.certificates is not None)
        )

    @property
    def socket_path(self) -> str:
        return self.url.removeprefix("unix://") or str(DEFAULT_SOCKET)

    @property
    def prefix(self) -> str:
        """The path of a TCP address, which precedes the paths of all requests."""
        return urlsplit(self.url).path.rstrip("/") if self.scheme in _HTTP else ""

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Return the host and port of a TCP address; docker's own port if it has none."""
        parts = urlsplit(self.url)
        return parts.hostname or "localhost", parts.port or (_TLS_PORT if self.uses_tls else _PORT)

    @property
    def is_local(self) -> bool:
        """Whether the engine is on this machine, as far as its address says."""
        if self.scheme in _HTTP:
            host, _ = self.host_and_port
            return host in ("localhost", "::1") or host.startswith("127.")
        return self.scheme == "unix"

    @property
    def why(self) -> str:
        """Why this engine was chosen, for people."""
        overriding = f", which overrides {self.overrides}" if self.overrides else ""
        return f"{self.source or self.kind}{overriding}"


def parse(address: Address) -> Address:
    """Return the address in its full form, with a scheme and a port, as docker reads it.

    Raises `EngineUnreachable` if it is invalid.
    """
    url = address.url.strip().removeprefix("http+")  # docker-py writes http+unix://
    if _WITHOUT_SCHEME.fullmatch(url):
        url = f"tcp://{url}"
    try:
        parts = urlsplit(url)
        reason = _problem(parts, parts.port)
    except ValueError as error:
        raise _invalid(address, f"unsupported scheme or port: {error}") from error
    if reason:
        raise _invalid(address, reason)
    found = msgspec.structs.replace(address, url=url)
    if parts.scheme not in _HTTP:  # as docker, which ignores the TLS variables then
        found = msgspec.structs.replace(found, certificates=None, tls=False)
    if parts.scheme == "unix":
        path = os.path.abspath(found.socket_path)  # noqa: PTH100 - links stay as they are
        return msgspec.structs.replace(found, url=f"unix://{path}")
    if parts.scheme in _HTTP:
        host, port = found.host_and_port
        host = f"[{host}]" if ":" in host else host
        return msgspec.structs.replace(found, url=f"{parts.scheme}://{host}:{port}{found.prefix}")
    return found


def _problem(parts: SplitResult, port: int | None) -> str:
    """Return what is wrong with an address; empty if nothing is."""
    if parts.scheme not in ("unix", "ssh", *_HTTP):
        return "unsupported scheme or port"
    if port == 0:
        return "unsupported scheme or port: 0"
    if parts.scheme == "ssh" and not parts.hostname:
        return "missing host"
    if parts.password is not None or (parts.scheme in _HTTP and parts.username is not None):
        return "a user name or password is not supported"
    if parts.query or parts.fragment:
        return "a query or fragment is not supported"
    return ""


def _invalid(address: Address, reason: str) -> EngineUnreachable:
    shown = address.url
    if "@" in shown:  # a password may be in front of it
        scheme, separator, rest = shown.rpartition("://")
        shown = f"{scheme}{separator}***@{rest.rpartition('@')[2]}"
    remedy = ADDRESS_FORMATS
    if shown.startswith("/"):
        remedy = f"write unix://{shown}"
    elif shown.startswith("npipe:"):
        remedy = f"named pipes exist on Windows only; {ADDRESS_FORMATS}"
    return EngineUnreachable(
        f"invalid engine address {shown!r} (from {address.source}): {reason}",
        remedy=remedy,
        address=shown,
        source=address.source,
    )
