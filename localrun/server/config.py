"""The options of a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localrun.batch.backends import check_address
from localrun.errors import UsageError
from localrun.server.appengine.paths import DEFAULT_PREFIXES, read_prefix
from localrun.settings import Settings
from localrun.settings.options import OnExit

_COMMAND = ("open", "without_engine")  # settings of the command

# how a container names its host; public DNS cannot have names below `.internal`
_OF_CONTAINERS = frozenset({"host.docker.internal", "gateway.docker.internal", "host.containers.internal"})
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
    `api_prefixes` are those of App Engine's API, `clusters` the addresses on which batches may run.
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
    clusters: tuple[str, ...] = ()
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is only reachable from this machine."""
        return self.host in LOOPBACK

    @property
    def allowed_hosts(self) -> frozenset[str] | None:
        """The host names that a request can use, or None for any.

        This prevents DNS rebinding: a web page can point its own host name at 127.0.0.1. A server that is
        reachable from elsewhere has many names, but requires a token. Without one (`allow_unauthenticated`)
        it also accepts its addresses, which cannot be rebound: see `accepts_addresses`.
        """
        if self.is_loopback:
            return LOOPBACK | self.hosts
        return None if self.token else LOOPBACK | _OF_CONTAINERS | self.hosts

    @property
    def accepts_addresses(self) -> bool:
        """Whether requests can use an IP address of the server instead of a name."""
        return not self.is_loopback


def server_options(settings: Settings, **given: Any) -> ServerOptions:
    """Return the options of a server: those given (None or empty: not given), completed by the settings.

    Raises `UsageError` for a server that others can reach without a token, for a folder that does not exist,
    and if the user has to trust the project first.
    """
    options = {name: value for name, value in given.items() if value not in (None, (), frozenset())}
    defaults = settings.defaults
    used = {name: value for name, value in defaults.server.items() if name not in (*options, *_COMMAND)}
    defaults.check_trusted(f"server.{name}" for name in used)
    for folder in used.get("bundles", ()):
        if not Path(folder).is_dir():
            place = defaults.origins["server.bundles"]
            raise UsageError(f"{place}: no such folder: {folder!r}", remedy="correct or remove the setting")
    found = used | options
    folders = tuple(map(Path, found.pop("bundles", (Path.cwd(),))))
    hosts = frozenset(name.lower() for name in found.pop("names", ()))
    if "api_prefixes" in found:
        found["api_prefixes"] = tuple(map(read_prefix, found["api_prefixes"]))
    found["clusters"] = clusters = tuple(found.get("clusters", ()))
    for address in clusters:
        check_address(address)
    unauthenticated = found.pop("allow_unauthenticated", False)
    made = ServerOptions(**found, bundles=folders, hosts=hosts)
    if not made.is_loopback and not made.token and not unauthenticated:
        raise UsageError(
            f"--host {made.host} without a token would let other machines run containers here",
            remedy="set LOCALRUN_TOKEN to a long random string, or omit --host; for clients that cannot send"
            " a token, pass --allow-unauthenticated",
        )
    if made.token and unauthenticated:
        raise UsageError(
            "--allow-unauthenticated has no effect with a token, which every client must send",
            remedy="omit --token and unset LOCALRUN_TOKEN, or omit --allow-unauthenticated",
        )
    return made
