"""The options of a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from localrun.server.appengine.paths import DEFAULT_PREFIXES

OnExit = Literal["leave", "kill", "wait"]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits for the connections of a server. Sizes in bytes, times in seconds.

    A client has `head_seconds` to send the URL and the headers of a request, and `body_seconds` between two
    reads of its body. A connection without a request is closed after `keep_alive_seconds`. A client that is
    rejected while it sends has `linger_seconds` to read the response.
    """

    head_size: int = 32 * 1024
    head_seconds: float = 60.0
    body_seconds: float = 60.0
    keep_alive_seconds: int = 75
    linger_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to run a server. Sizes in bytes, `heartbeat` in seconds.

    Requests can name bundles and files below the folders `bundles`. `hosts` are additional host names that
    requests can use for the server. A server that `adopts` recovers the tasks of dead processes at its start.
    `api_prefixes` are those of App Engine's API.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    bundles: tuple[Path, ...] = (Path(),)
    on_exit: OnExit = "kill"
    token: str | None = field(default=None, repr=False)
    heartbeat: float = 30.0
    body_limit: int = 1024**2
    upload_limit: int = 8 * 1024**3
    hosts: frozenset[str] = frozenset()
    adopts: bool = True
    api_prefixes: tuple[str, ...] = DEFAULT_PREFIXES
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is only reachable from this machine."""
        return self.host in LOOPBACK

    @property
    def allowed_hosts(self) -> frozenset[str] | None:
        """The host names that a request can use, or None for any.

        This prevents DNS rebinding: a web page can point its own host name at 127.0.0.1. A server that is
        reachable from elsewhere has many names, but requires a token.
        """
        return LOOPBACK | self.hosts if self.is_loopback else None
