"""Docker contexts: the address and the TLS files that `docker context create` has stored."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from docker.context import Context
from docker.context.config import METAFILE, get_context_id
from docker.errors import DockerException

from localrun import fs
from localrun.engines.dockerd.address import Address, parse
from localrun.engines.dockerd.configuration.file import UNREADABLE
from localrun.errors import EngineUnreachable

READING_ERRORS = (DockerException, *UNREADABLE)


def load_context(name: str, folder: Path, chosen_by: str) -> Address:
    """Return the address of a context in docker's `folder`.

    docker-py itself would only look below `DOCKER_CONFIG`, and would not verify the certificate of a context
    that does not say so. Raises `EngineUnreachable` if the context does not exist or cannot be read.
    """
    key = get_context_id(name)
    path = folder / "contexts" / "meta" / key / METAFILE
    source = f"the docker context {name!r}"
    try:
        host, verify = _endpoint(name, json.loads(fs.read_regular(path).decode()))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _unusable(f"{source} does not exist: no file {path}", name, path, chosen_by) from error
    except READING_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _unusable(f"cannot read {source}: {path}: {reason}", name, path, chosen_by) from error
    tls = folder / "contexts" / "tls" / key / "docker"
    certificates = tls if os.path.lexists(tls) else None
    return parse(
        Address(host, certificates, verify=verify, source=f"{source}, chosen by {chosen_by}", context=name)
    )


def _endpoint(name: str, meta: Any) -> tuple[str, bool]:
    """Return the address of a context, and whether to verify its certificate."""
    endpoints = meta.get("Endpoints") if isinstance(meta, dict) else None
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(docker, dict):
        raise ValueError("it has no endpoint `docker`")
    if not isinstance(docker.get("Host", ""), str):
        raise ValueError("`Host` must be a string")
    skip = bool(docker.get("SkipTLSVerify", False))
    endpoint: Any = {"Host": "", **docker, "SkipTLSVerify": skip}
    found = Context(name, endpoints={"docker": endpoint})
    return str(found.Host or "unix://"), not skip


def _unusable(message: str, name: str, path: Path, chosen_by: str) -> EngineUnreachable:
    is_current = chosen_by.startswith("currentContext")
    other = "`docker context use default`, or set DOCKER_HOST" if is_current else f"unset {chosen_by}"
    return EngineUnreachable(
        f"{message} (chosen by {chosen_by})",
        remedy=f"choose one that `docker context ls` lists; for no context: {other}",
        context=name,
        file=str(path),
        source=chosen_by,
    )
