"""Find an image by name in the engine, or pull it from a registry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from localrun.bundle.images import file_cache
from localrun.bundle.images.file_cache import CancelCheck, OnLock
from localrun.engines.base import Engine, EngineImage, Progress, Warn
from localrun.errors import Cause, ImageError

if TYPE_CHECKING:
    from localrun.bundle.images.ensure import PullPolicy

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,511}", re.ASCII)
_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}", re.ASCII)


def pull_image(
    name: str,
    engine: Engine,
    *,
    policy: PullPolicy,
    cache: Path,
    progress: Progress,
    check_cancelled: CancelCheck,
    on_lock: OnLock,
    warn: Warn,
    platform: str = "",
) -> EngineImage:
    """Find an image, or pull it if the policy allows; one pull per name at a time on this machine.

    An image for another platform than `platform` counts as missing.

    Raises `ImageError` with cause IMAGE_MISSING if the image is missing and cannot be pulled, or with
    IMAGE_PULL_FAILED if the pull fails.
    """
    if found := find_local(name, engine, policy=policy, platform=platform):
        return found
    is_id = _ID.fullmatch(name) is not None
    asked = (platform,) if platform else ()
    if policy == "never" or is_id:
        raise _missing(name, is_id, engine.find_image(name) if platform else None, platform)
    with file_cache.lock(cache, name, check_cancelled, on_lock):
        found = engine.find_image(name, *asked) if policy != "always" else None
        return found or engine.pull_image(name, progress, platform, warn)


def find_local(name: str, engine: Engine, *, policy: PullPolicy, platform: str = "") -> EngineImage | None:
    """Return an image of the engine that need not be pulled. Raises `ImageError` for an invalid name."""
    if not _REFERENCE.fullmatch(name):
        message, remedy = f"invalid image name {name!r:.80}", "use a name such as python:3.12-slim"
        raise ImageError(message, remedy=remedy, reference=name)
    if policy == "always" and not _ID.fullmatch(name):
        return None
    return engine.find_image(name, *((platform,) if platform else ()))


def _missing(name: str, is_id: bool, other: EngineImage | None, platform: str) -> ImageError:
    if is_id:
        reason, remedy = "an id cannot be pulled", "use the name of the image, or load it with `docker load`"
    else:
        reason = "pulling is disabled (--pull never)"
        option = f"--platform {platform} " if platform else ""
        remedy = f"build it, run `docker pull {option}{name}`, or omit --pull never"
    if other is None:
        message = f"the engine has no image {name}, and {reason}"
        return ImageError(message, cause=Cause.IMAGE_MISSING, remedy=remedy, reference=name)
    message = f"the engine's image {name} is for {other.platform}, not for {platform}, and {reason}"
    remedy = f"{remedy}; or pass --platform {other.platform}"
    return ImageError(message, cause=Cause.IMAGE_PLATFORM, remedy=remedy, reference=name)
