"""Fetching an image from its registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localrun.engines.base import EngineImage, Progress
from localrun.engines.dockerd import failures
from localrun.engines.dockerd.api import iter_json, read_message
from localrun.engines.dockerd.images import Images, error_message, split_reference
from localrun.errors import Cause, ImageError, LocalrunError

# sign in the engine's words (lower case) -> what it means, what to do
_REASONS = (
    (
        ("no basic auth credentials", "unauthorized", "authentication required", "denied: "),
        "the registry wants to know who you are",
        "log in: `docker login REGISTRY`",
    ),
    (
        ("pull access denied", "repository does not exist"),
        "there is no such image, or it is not public",
        "correct the name, or log in: `docker login REGISTRY`",
    ),
    (("manifest unknown", "manifest for", "not found"), "there is no such image", "correct its name and tag"),
    (("toomanyrequests",), "the registry allows no more pulls for now", "wait, or log in: `docker login`"),
    (
        ("dial tcp", "no such host", "connection refused", "timeout", "lookup ", "tls handshake", "eof"),
        "the registry cannot be reached",
        "check the network and the engine's proxy; or load the image from a file: `docker load -i FILE`",
    ),
)


def pull(images: Images, reference: str, progress: Progress) -> EngineImage:
    """Fetch it and look it up. Progress is in bytes, over all layers that are known so far."""
    repository, tag, digest = split_reference(reference)
    query = {"fromImage": repository, "tag": digest or tag or "latest"}
    answer = images.api.send("POST", "/images/create", query, body=b"", headers=_headers(images, repository))
    if answer.status >= 400:
        raise pull_error(reference, read_message(answer))
    layers: dict[str, tuple[int, int]] = {}
    try:
        for message in iter_json(answer):
            if "error" in message or "errorDetail" in message:
                raise pull_error(reference, error_message(message))
            if _moved(message, layers):
                done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                progress(f"pulling {reference}", done, total)
    finally:
        answer.close()
    return images.require(reference)


def _headers(images: Images, repository: str) -> dict[str, str]:
    if not (images.config / "config.json").exists():
        return {}
    from localrun.engines.dockerd.credentials import credentials

    header = credentials(images.config, repository)
    return {"X-Registry-Auth": header} if header else {}


def _moved(message: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> bool:
    detail = message.get("progressDetail") or {}
    if message.get("status") != "Downloading" or not detail.get("total"):
        return False
    layers[str(message.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))
    return True


def pull_error(reference: str, words: str) -> LocalrunError:
    """Why an image could not be pulled, in plain words."""
    lower = words.lower()
    if failures.is_disk_full(words):
        return failures.disk_full_error(words, f"pulling {reference}")
    if "no matching manifest" in lower or "does not match the specified platform" in lower:
        return ImageError(
            f"{reference} is not made for this machine: {words}",
            remedy="ask its author for one that is, or build it here",
            cause=Cause.IMAGE_PLATFORM,
            reference=reference,
        )
    found = next((row for row in _REASONS if any(sign in lower for sign in row[0])), None)
    meaning, remedy = found[1:] if found else ("the registry refused it", "")
    return ImageError(
        f"{reference} could not be pulled: {meaning} ({words})",
        remedy=remedy,
        cause=Cause.IMAGE_PULL_FAILED,
        reference=reference,
        engine_said=words,
    )
