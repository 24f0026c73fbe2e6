"""The sockets that a server listens on."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from localrun.errors import LocalrunError
from localrun.server.config import LOOPBACK

_BACKLOG = 2048


class AddressUnavailable(LocalrunError):
    """The address is in use, or does not belong to this machine."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on `host`, for loopback on both IPv4 and IPv6, because `localhost` may resolve to either.

    Port 0 selects a free port. Raises `AddressUnavailable`.
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
    """The machine has no addresses of this family."""


def _resolved(host: str, port: int) -> tuple[int, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        remedy = "use an address of this machine for --host"
        raise AddressUnavailable(f"invalid host {host!r}: {error.strerror}", remedy=remedy) from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _bound(family: int, address: tuple[str, int]) -> socket.socket:
    try:
        # without the protocol, the event loop does not turn off Nagle's algorithm: 40 ms per response
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _NoFamily from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL:
            raise _NoFamily from error
        raise _unusable(address, error) from error
    return sock


def _unusable(address: tuple[str, int], error: OSError) -> AddressUnavailable:
    host, port = address
    if error.errno == errno.EADDRINUSE:
        message = f"port {port} on {host} is in use by another program"
        remedy = "stop that program, or choose another port with --port"
    else:
        message = f"cannot listen on {host} port {port}: {error.strerror}"
        remedy = "choose another address with --host and --port"
    return AddressUnavailable(message, remedy=remedy, host=host, port=port)
