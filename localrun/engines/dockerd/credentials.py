"""What the user's docker knows of registries: docker-py reads it, helper programs included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker.auth
from docker.errors import DockerException


def credentials(config: Path, repository: str) -> str:
    """The `X-Registry-Auth` header for a repository; empty when there are none."""
    registry, _ = docker.auth.resolve_repository_name(repository)
    try:
        found = _known(config).resolve_authconfig(registry)
    except DockerException:
        return ""  # a helper program that fails has no credentials to give; the registry may not ask
    return _header(found) if found else ""


def all_credentials(config: Path) -> str:
    """The `X-Registry-Config` header: what a build may need for its base images."""
    try:
        found = _known(config).get_all_credentials()
    except DockerException:
        return ""
    return _header(found) if found else ""


def _known(config: Path) -> Any:
    return docker.auth.load_config(config_path=str(config / "config.json"))


def _header(found: Any) -> str:
    return docker.auth.encode_header(found).decode()
