"""An image by name: what the engine has, or what a registry gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from localrun.bundle.images import file_cache
from localrun.engines.base import Engine, EngineImage, Progress
from localrun.errors import Cause, ImageError

if TYPE_CHECKING:
    from localrun.bundle.images.ensure import PullPolicy

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,511}", re.ASCII)
_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}", re.ASCII)


def pull_image(
    reference: str,
    engine: Engine,
    *,
    policy: PullPolicy,
    cache: Path,
    progress: Progress,
    check_cancelled: Callable[[], None],
) -> EngineImage:
    """Find an image, and fetch it as the policy says; one fetch per name at a time on this machine.

    Raises `ImageError`: IMAGE_MISSING when it is not there and must or can not be fetched,
    IMAGE_PULL_FAILED from the engine.
    """
    if not _REFERENCE.fullmatch(reference):
        raise ImageError(
            f"{reference!r:.80} is no image name",
            remedy="give a name such as python:3.12-slim",
            reference=reference,
        )
    is_id = _ID.fullmatch(reference) is not None
    if (policy != "always" or is_id) and (found := engine.find_image(reference)):
        return found
    if policy == "never" or is_id:
        raise _missing(reference, is_id)
    with file_cache.lock(cache, reference, check_cancelled):
        found = engine.find_image(reference) if policy != "always" else None
        return found or engine.pull_image(reference, progress)


def _missing(reference: str, is_id: bool) -> ImageError:
    why = "an id cannot be pulled" if is_id else "it may not be pulled (--pull never)"
    remedy = f"build it, or pull it first (docker pull {reference}), or leave --pull never out"
    if is_id:
        remedy = "give the image's name, or load it first with docker load"
    return ImageError(
        f"the engine has no image {reference}, and {why}",
        cause=Cause.IMAGE_MISSING,
        remedy=remedy,
        reference=reference,
    )
