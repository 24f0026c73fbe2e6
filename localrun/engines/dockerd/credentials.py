"""Registry credentials from the user's docker configuration, including credential helpers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker.auth
from docker.errors import DockerException


def credentials(config: Path, repository: str) -> str:
    """Return the `X-Registry-Auth` header for a repository; empty if there are no credentials."""
    registry, _ = docker.auth.resolve_repository_name(repository)
    try:
        found = _load(config).resolve_authconfig(registry)
    except DockerException:
        return ""  # the credential helper failed, but the registry may not need a login
    return _header(found) if found else ""


def all_credentials(config: Path) -> str:
    """Return the `X-Registry-Config` header with all credentials, for the base images of a build."""
    try:
        found = _load(config).get_all_credentials()
    except DockerException:
        return ""
    return _header(found) if found else ""


def _load(config: Path) -> Any:
    return docker.auth.load_config(config_path=str(config / "config.json"))


def _header(found: Any) -> str:
    return docker.auth.encode_header(found).decode()
