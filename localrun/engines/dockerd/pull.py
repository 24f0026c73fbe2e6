"""Image pulls from a registry."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from localrun.engines.base import EngineImage, Progress, Warn, no_warning
from localrun.engines.dockerd import failures
from localrun.engines.dockerd.api import iter_json, read_message
from localrun.engines.dockerd.configuration.file import ConfigFile
from localrun.engines.dockerd.images import DockerImages, error_message, split_reference
from localrun.errors import Cause, ImageError, LocalrunError

# (signs in the engine's message in lower case, meaning, remedy)
_REASONS = (
    (
        ("no basic auth credentials", "unauthorized", "authentication required", "denied: "),
        "the registry requires a login",
        "log in: `docker login REGISTRY`",
    ),
    (
        ("pull access denied", "repository does not exist"),
        "the image does not exist or is not public",
        "correct the name, or log in: `docker login REGISTRY`",
    ),
    (
        ("manifest unknown", "manifest for", "not found"),
        "the image does not exist",
        "correct its name and tag",
    ),
    (("toomanyrequests",), "the registry's pull rate limit is reached", "wait, or log in: `docker login`"),
    (
        ("dial tcp", "no such host", "connection refused", "timeout", "lookup ", "tls handshake", "eof"),
        "cannot reach the registry",
        "check the network and the engine's proxy, or load the image from a file: `docker load -i FILE`",
    ),
)


def pull(
    images: DockerImages, reference: str, progress: Progress, platform: str = "", warn: Warn = no_warning
) -> EngineImage:
    """Pull an image and return it. Progress is in bytes, over all layers known so far.

    `warn` receives what is wrong with the credentials, without which the pull is tried then.
    """
    repository, tag, digest = split_reference(reference)
    query = {"fromImage": repository, "tag": digest or tag or "latest"}
    if platform:
        query["platform"] = platform
    response = images.api.send(
        "POST", "/images/create", query, body=b"", headers=_headers(images, repository, warn)
    )
    if response.status >= 400:
        raise pull_error(reference, read_message(response), platform)
    layers: dict[str, tuple[int, int]] = {}
    with closing(response):
        for message in iter_json(response, f"pull {reference}"):
            if "error" in message or "errorDetail" in message:
                raise pull_error(reference, error_message(message), platform)
            with failures.reading(f"pull {reference}"):
                is_new = _update_layer(message, layers)
            if is_new:
                done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                progress(f"pulling {reference}", done, total)
    found = images.find_image(reference, platform)
    if found is None:  # an older engine ignores the platform, and a registry may have another one only
        raise _no_platform(reference, platform, "the registry sent an image for another platform")
    return found


def _headers(images: DockerImages, repository: str, warn: Warn) -> dict[str, str]:
    config = ConfigFile(images.config)
    if not config.content:
        return {}
    from localrun.engines.dockerd.configuration.credentials import registry_auth

    header = registry_auth(config, repository)
    images.report_new_problems(config, warn)
    return {"X-Registry-Auth": header} if header else {}


def _update_layer(message: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> bool:
    detail = message.get("progressDetail") or {}
    if message.get("status") != "Downloading" or not detail.get("total"):
        return False
    layers[str(message.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))
    return True


def _no_platform(reference: str, platform: str, reason: str) -> ImageError:
    wanted = platform or "this machine's architecture"
    other = "pass another --platform" if platform else "run an image for another one with --platform"
    return ImageError(
        f"cannot pull {reference}: no image for {wanted} ({reason})",
        remedy=f"{other}, ask its author for an image for {wanted}, or build it here",
        cause=Cause.IMAGE_PLATFORM,
        reference=reference,
    )


def pull_error(reference: str, reason: str, platform: str = "") -> LocalrunError:
    lower = reason.lower()
    full = failures.disk_full_error(reason, f"pull {reference}")
    if full is not None:
        return full
    if "no matching manifest" in lower or "does not match the specified platform" in lower:
        return _no_platform(reference, platform, reason)
    found = next((row for row in _REASONS if any(sign in lower for sign in row[0])), None)
    meaning, remedy = found[1:] if found else ("the registry refused the request", "")
    return ImageError(
        f"cannot pull {reference}: {meaning} ({reason})",
        remedy=remedy,
        cause=Cause.IMAGE_PULL_FAILED,
        reference=reference,
        engine_said=reason,
    )
