"""Which engine to use: the one that `docker ps` would, or else `podman ps`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from localrun.engines.dockerd.address import DEFAULT_SOCKET, Address, parse
from localrun.engines.dockerd.configuration.file import ConfigFile
from localrun.settings import Settings

_PODMAN_SOCKET = Path("/run/podman/podman.sock")
_TLS_HOST = "tcp://localhost"  # docker's address if only TLS is configured
_HOST = "DOCKER_HOST or LOCALRUN_DOCKER_HOST"
_CONTEXT = "DOCKER_CONTEXT or LOCALRUN_DOCKER_CONTEXT"


def select(settings: Settings, config: ConfigFile | None = None) -> Address:
    """Return the address of the engine; `config` is that of the settings.

    The order is that of the docker command: an address, a context, the current context of `config.json`, the
    default socket. Without any of them the sockets of rootless Docker, Docker Desktop and Podman are tried.
    Only whether a socket exists is checked: an engine that was chosen and does not answer is an error, and
    no other one is used instead. Raises `EngineUnreachable`.
    """
    config = config or ConfigFile(settings.docker_config)
    found = _configured(settings, config) or _found(settings)
    return msgspec.structs.replace(found, warnings=tuple(config.problems))


def _configured(settings: Settings, config: ConfigFile) -> Address | None:
    """Return the engine that the user has chosen by a variable or a context, if any."""
    current, current_source = config.get("currentContext", str), f"currentContext of {config.path}"
    context, source = (
        (settings.docker_context, _CONTEXT) if settings.docker_context else (current, current_source)
    )
    if settings.docker_host:
        is_overriding = context not in ("", "default")
        overrides = f"the docker context {context!r} ({source})" if is_overriding else ""
        return _of_variables(settings, config.folder, settings.docker_host, _HOST, overrides)
    if context not in ("", "default"):
        from localrun.engines.dockerd.configuration.contexts import load_context

        return load_context(context, config.folder, source)
    if settings.docker_tls_verify or settings.docker_tls:
        name = "DOCKER_TLS_VERIFY" if settings.docker_tls_verify else "DOCKER_TLS"
        return _of_variables(settings, config.folder, _TLS_HOST, f"{name} without DOCKER_HOST", "")
    return None


def _of_variables(settings: Settings, docker_folder: Path, host: str, source: str, overrides: str) -> Address:
    """Return an address with the TLS files of docker's variables."""
    tls = settings.docker_tls_verify or settings.docker_tls
    folder = settings.docker_cert_path or docker_folder
    has_files = tls or (settings.docker_cert_path is not None and host.startswith("https:"))
    return parse(
        Address(
            host,
            folder if has_files else None,
            verify=settings.docker_tls_verify or not tls,
            tls=tls,
            source=source,
            overrides=overrides,
        )
    )


def _found(settings: Settings) -> Address:
    """Return the first socket that exists on this machine, or else the default one."""
    overrides = "CONTAINER_HOST" if settings.container_host else ""
    for kind, path in _docker_sockets(settings):
        if _exists(path):
            return Address(f"unix://{path}", kind=kind, overrides=overrides)
    if settings.container_host:
        return parse(Address(settings.container_host, source="CONTAINER_HOST or LOCALRUN_CONTAINER_HOST"))
    is_root = os.geteuid() == 0
    podman = _PODMAN_SOCKET if is_root else _runtime_dir(settings) / "podman" / "podman.sock"
    if _exists(podman):
        kind = "the socket of Podman" if is_root else "the socket of rootless Podman"
        return Address(f"unix://{podman}", kind=kind)
    return Address(f"unix://{DEFAULT_SOCKET}", kind="the default socket")


def _exists(path: Path) -> bool:
    """Return whether a socket exists; True if only its folder is closed to this user."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _docker_sockets(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield "the default socket", DEFAULT_SOCKET
    yield "the socket of rootless Docker", _runtime_dir(settings) / "docker.sock"
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.expanduser raises without a home
    yield "the socket of Docker Desktop", home / ".docker" / "run" / "docker.sock"
    yield "the socket of Docker Desktop", home / ".docker" / "desktop" / "docker.sock"


def _runtime_dir(settings: Settings) -> Path:
    return settings.runtime_dir or Path(f"/run/user/{os.getuid()}")
