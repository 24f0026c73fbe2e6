"""Find an image by name in the engine, or pull it from a registry."""

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
    """Find an image, or pull it if the policy allows; one pull per name at a time on this machine.

    Raises `ImageError` with cause IMAGE_MISSING if the image is missing and cannot be pulled, or with
    IMAGE_PULL_FAILED if the pull fails.
    """
    if not _REFERENCE.fullmatch(reference):
        raise ImageError(
            f"invalid image name {reference!r:.80}",
            remedy="use a name such as python:3.12-slim",
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
    reason = "an id cannot be pulled" if is_id else "pulling is disabled (--pull never)"
    remedy = f"build it, run `docker pull {reference}`, or omit --pull never"
    if is_id:
        remedy = "use the name of the image, or load it with `docker load`"
    return ImageError(
        f"the engine has no image {reference}, and {reason}",
        cause=Cause.IMAGE_MISSING,
        remedy=remedy,
        reference=reference,
    )
