"""Where the engine listens: as given, as the current docker context says, or the usual socket."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from localrun.errors import EngineUnreachable

DEFAULT_SOCKET = Path("/var/run/docker.sock")
ADDRESS_FORMATS = "write it as unix:///path/to/docker.sock, tcp://host:port or ssh://user@host"


class Address(msgspec.Struct, frozen=True):
    """An engine's URL, the folder of its TLS files (ca.pem, cert.pem, key.pem), and who named it."""

    url: str
    certificates: Path | None = None
    verify: bool = True
    source: str = ""

    @property
    def scheme(self) -> str:
        """`unix`, `tcp`, `http`, `https` or `ssh`."""
        return urlsplit(self.url).scheme

    @property
    def socket_path(self) -> str:
        """The path of a unix socket."""
        return self.url.removeprefix("unix://") or str(DEFAULT_SOCKET)

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The host and port of a TCP address. Raises `EngineUnreachable` when there are none."""
        parts = urlsplit(self.url)
        if not parts.hostname or not parts.port:
            raise EngineUnreachable(
                f"the engine's address {self.url!r} has no host and port",
                remedy=ADDRESS_FORMATS,
                address=self.url,
            )
        return parts.hostname, parts.port


def resolve(host: str | None, *, certificates: Path | None, config: Path) -> Address:
    """Find the engine: `host` if given, else the current context of docker's `config` folder.

    Raises `EngineUnreachable` when the address cannot be understood, or the context is not there.
    """
    if host:
        return _checked(Address(host, certificates, source="DOCKER_HOST or LOCALRUN_DOCKER_HOST"))
    context = current_context(config)
    if context:
        return _checked(_of_context(context, config))
    return Address(f"unix://{_usual_socket()}")


def current_context(config: Path) -> str:
    """The context that `docker context use` chose; empty when it is the default one."""
    name = str(read_json(config / "config.json").get("currentContext") or "")
    return "" if name == "default" else name


def read_json(path: Path) -> dict[str, Any]:
    """One of docker's own files; empty when it is not there or not readable as what it should be."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_context(name: str, config: Path) -> Address:
    import hashlib

    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = read_json(config / "contexts" / "meta" / digest / "meta.json")
    endpoints = meta.get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(docker, dict) or not docker.get("Host"):
        raise EngineUnreachable(
            f"the current docker context {name!r} names no engine",
            remedy="choose another one with `docker context use default`, or set DOCKER_HOST",
            context=name,
        )
    tls = config / "contexts" / "tls" / digest / "docker"
    return Address(
        str(docker["Host"]),
        certificates=tls if tls.is_dir() else None,
        verify=not docker.get("SkipTLSVerify"),
        source=f"the docker context {name!r}",
    )


def _checked(address: Address) -> Address:
    if address.scheme not in {"unix", "tcp", "http", "https", "ssh"} or not _has_sound_port(address.url):
        raise EngineUnreachable(
            f"the engine's address {address.url!r} (from {address.source}) is of no kind that is known",
            remedy=ADDRESS_FORMATS,
            address=address.url,
        )
    return address


def _has_sound_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _usual_socket() -> Path:
    """The system's socket, or that of a rootless engine of this user where there is no other."""
    rootless = Path(f"/run/user/{os.getuid()}/docker.sock")
    return rootless if not DEFAULT_SOCKET.exists() and rootless.exists() else DEFAULT_SOCKET
