"""What a server can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

OnExit = Literal["leave", "kill", "wait"]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server is to be run. Sizes in bytes, `heartbeat` in seconds.

    `bundles` are the folders below which bundles and files may be named; `hosts` names that the server
    may be called by beside its own.
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

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK

    @property
    def allowed_hosts(self) -> frozenset[str] | None:
        """The names that a request may call the server by; None: any.

        A page of a stranger can have its own name lead to 127.0.0.1. Where everybody needs a token, that
        is no way in, and the names under which a machine is reached are many.
        """
        return LOOPBACK | self.hosts if self.is_loopback else None
