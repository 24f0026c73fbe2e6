"""Load an image from its archive, unless the engine already has it under any name."""

from __future__ import annotations

import shutil
from pathlib import Path

from localrun.bundle.images import file_cache
from localrun.bundle.images.file_cache import CancelCheck
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.engines.base import Engine, EngineImage, EngineInfo, Progress
from localrun.errors import Cause, EngineError, ImageError
from localrun.units import format_bytes

# other names of the same architectures, and the second architecture that a machine runs natively
# fmt: off
_ALIASES = {
    "x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386", "i686": "386",
}
# fmt: on
ALSO_RUNS = {"amd64": "386", "arm64": "arm"}


def load_archive(
    archive: ImageArchive, engine: Engine, *, cache: Path, progress: Progress, check_cancelled: CancelCheck
) -> EngineImage:
    """Return the archive's image for this engine; load it if necessary.

    An image that the engine already has is used whatever its platform, so users who emulate another platform
    can load its images beforehand.
    """
    if len(archive.images) == 1 and (found := _find(archive.images[0], engine, cache)):
        return found
    image = select_image(archive, engine.info())
    if found := _find(image, engine, cache):
        return found
    with file_cache.lock(cache, image.id, check_cancelled):
        return _find(image, engine, cache) or _load(archive, image, engine, cache, progress)


def select_image(archive: ImageArchive, info: EngineInfo) -> ArchivedImage:
    """Select the image for the engine's platform. Raises `ImageError` with cause IMAGE_PLATFORM."""
    architecture = _ALIASES.get(info.architecture, info.architecture)
    for wanted in (architecture, ALSO_RUNS.get(architecture)):
        matching = [image for image in archive.images if _matches(image, info.os, wanted)]
        if matching:
            return min(matching, key=lambda image: image.variant)
    platforms = ", ".join(sorted(image.platform for image in archive.images))
    raise ImageError(
        f"{archive.name} is for {platforms}; the engine runs {info.os}/{architecture}",
        cause=Cause.IMAGE_PLATFORM,
        remedy=f"build the image with: docker build --platform {info.os}/{architecture}",
        archive=archive.name,
        platforms=platforms,
    )


def _matches(image: ArchivedImage, system: str, architecture: str | None) -> bool:
    own = _ALIASES.get(image.architecture, image.architecture)
    return image.os in ("", system) and own in ("", architecture)


def _find(image: ArchivedImage, engine: Engine, cache: Path) -> EngineImage | None:
    """Find an image by its id, or by the cached id of the engine if its containerd store uses its own ids."""
    if found := engine.find_image(image.id):
        return found
    entry = file_cache.read_entry(cache, "images", image.id[7:])
    known = entry.get("engine_id") if entry else None
    return engine.find_image(known) if isinstance(known, str) and known else None


def _load(
    archive: ImageArchive, image: ArchivedImage, engine: Engine, cache: Path, progress: Progress
) -> EngineImage:
    from localrun.bundle.images.retag import retag

    _check_space(archive, image, engine.info())
    try:
        loaded = engine.load_image(retag(archive, image, progress))
    except ImageError as error:
        raise _with_archive(archive, image, error) from error
    found = engine.find_image(loaded)
    if found is None:
        message = f"the engine loaded {archive.name} as {loaded}, but the image is gone"
        remedy = "check whether another process removes images, e.g. docker image prune, and run again"
        raise EngineError(message, remedy=remedy)
    if loaded != image.id:
        file_cache.write_entry(cache, "images", image.id[7:], {"engine_id": loaded})
    return found


def _check_space(archive: ImageArchive, image: ArchivedImage, info: EngineInfo) -> None:
    """Raise `ImageError` with cause DISK_FULL unless the engine's disk has space for an image.

    The layers may be compressed, so the image needs at least its size in the archive. The disk of a remote
    engine is not known.
    """
    root = Path(info.root)
    if not info.root or not root.is_dir():
        return
    free = shutil.disk_usage(root).free
    if free < image.size:
        raise ImageError(
            f"not enough space on the engine's disk at {root} to load {archive.name}: the image needs"
            f" {format_bytes(image.size)} or more, {format_bytes(free)} are free",
            cause=Cause.DISK_FULL,
            remedy="free some space, e.g. with `localrun prune` or `docker system prune`",
            path=str(root),
            needed=image.size,
            free=free,
        )


def _with_archive(archive: ImageArchive, image: ArchivedImage, error: ImageError) -> ImageError:
    if "archive" in error.facts:
        return error
    zstd = "the layers are compressed with zstd, which needs Docker 23.0: use gzip, or upgrade the engine"
    remedy = zstd if image.zstd else error.remedy
    message = f"{archive.name}: {error.message}"
    return ImageError(message, remedy=remedy, cause=error.cause, **error.facts, archive=archive.name)
