"""The engine's address: explicit, from the current docker context, or the default socket."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from localrun import fs
from localrun.errors import EngineUnreachable

DEFAULT_SOCKET = Path("/var/run/docker.sock")
ADDRESS_FORMATS = "use unix:///path/to/docker.sock, tcp://HOST:PORT or ssh://USER@HOST"


class Address(msgspec.Struct, frozen=True):
    """An engine's URL, the folder of its TLS files (ca.pem, cert.pem, key.pem), and its origin."""

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
        return self.url.removeprefix("unix://") or str(DEFAULT_SOCKET)

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Return the host and port of a TCP address. Raises `EngineUnreachable` if either is missing."""
        parts = urlsplit(self.url)
        if not parts.hostname or not parts.port:
            raise EngineUnreachable(
                f"invalid engine address {self.url!r}: missing host or port",
                remedy=ADDRESS_FORMATS,
                address=self.url,
            )
        return parts.hostname, parts.port


def resolve(host: str | None, *, certificates: Path | None, config: Path) -> Address:
    """Return `host` if given, else the address of the current context of docker's `config` folder.

    Raises `EngineUnreachable` if the address is invalid or the context does not exist.
    """
    if host:
        return _validate(Address(host, certificates, source="DOCKER_HOST or LOCALRUN_DOCKER_HOST"))
    context = current_context(config)
    if context:
        return _validate(_from_context(context, config))
    return Address(f"unix://{_default_socket()}")


def current_context(config: Path) -> str:
    """Return the context chosen by `docker context use`; empty if it is the default one."""
    name = str(read_json(config / "config.json").get("currentContext") or "")
    return "" if name == "default" else name


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of one of docker's own files, or an empty dict if it is missing or invalid."""
    try:
        found = json.loads(fs.read_regular(path))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _from_context(name: str, config: Path) -> Address:
    import hashlib

    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = read_json(config / "contexts" / "meta" / digest / "meta.json")
    endpoints = meta.get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(docker, dict) or not docker.get("Host"):
        raise EngineUnreachable(
            f"the docker context {name!r} has no engine address",
            remedy="run `docker context use default`, or set DOCKER_HOST",
            context=name,
        )
    tls = config / "contexts" / "tls" / digest / "docker"
    return Address(
        str(docker["Host"]),
        certificates=tls if tls.is_dir() else None,
        verify=not docker.get("SkipTLSVerify"),
        source=f"the docker context {name!r}",
    )


def _validate(address: Address) -> Address:
    if address.scheme not in {"unix", "tcp", "http", "https", "ssh"} or not _has_valid_port(address.url):
        raise EngineUnreachable(
            f"invalid engine address {address.url!r} (from {address.source}): unsupported scheme or port",
            remedy=ADDRESS_FORMATS,
            address=address.url,
        )
    return address


def _has_valid_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _default_socket() -> Path:
    """Return the system's socket, or this user's rootless one if only that exists."""
    rootless = Path(f"/run/user/{os.getuid()}/docker.sock")
    return rootless if not DEFAULT_SOCKET.exists() and rootless.exists() else DEFAULT_SOCKET
