"""The sockets that a server listens on."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from localrun.errors import LocalrunError
from localrun.server.config import LOOPBACK

_BACKLOG = 2048


class AddressUnavailable(LocalrunError):
    """The address is taken, or is none of this machine."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on `host`; on loopback by both its addresses, as `localhost` may mean either of them.

    Port 0: any free one. Raises `AddressUnavailable`.
    """
    if host not in LOOPBACK:
        return [_bound(*_resolved(host, port))]
    first = _bound(socket.AF_INET, ("127.0.0.1", port))
    sockets = [first]
    try:
        with suppress(_NoFamily):  # a machine without IPv6
            sockets.append(_bound(socket.AF_INET6, ("::1", first.getsockname()[1])))
    except BaseException:
        first.close()
        raise
    return sockets


class _NoFamily(Exception):
    """The machine has no addresses of this kind."""


def _resolved(host: str, port: int) -> tuple[int, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AddressUnavailable(
            f"{host} is no address: {error.strerror}", remedy="give an address of this machine with --host"
        ) from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _bound(family: int, address: tuple[str, int]) -> socket.socket:
    try:
        # the protocol must be named, or the event loop does not switch Nagle's algorithm off: 40 ms an answer
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _NoFamily from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        if family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL:
            raise _NoFamily from error
        raise _unusable(address, error) from error
    return made


def _unusable(address: tuple[str, int], error: OSError) -> AddressUnavailable:
    host, port = address
    if error.errno == errno.EADDRINUSE:
        return AddressUnavailable(
            f"port {port} of {host} is in use by another program",
            remedy="stop it, or choose another port with --port",
            host=host,
            port=port,
        )
    return AddressUnavailable(
        f"the server cannot listen on {host}, port {port}: {error.strerror}",
        remedy="choose another address with --host and --port",
        host=host,
        port=port,
    )
