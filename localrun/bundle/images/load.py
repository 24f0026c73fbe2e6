"""Load an image from its archive, unless the engine already has it under any name."""

from __future__ import annotations

import shutil
from pathlib import Path

from localrun.bundle.images import file_cache
from localrun.bundle.images.file_cache import CancelCheck, OnLock
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.engines.architectures import ALSO_RUNS, Platform, parse_platform
from localrun.engines.base import Engine, EngineImage, EngineInfo, Progress
from localrun.errors import Cause, EngineError, ImageError
from localrun.units import format_bytes

USUAL_PLATFORM = "linux/amd64"  # of most cluster nodes


def load_archive(
    archive: ImageArchive,
    engine: Engine,
    *,
    cache: Path,
    progress: Progress,
    check_cancelled: CancelCheck,
    on_lock: OnLock,
    platform: str = "",
) -> EngineImage:
    """Return the archive's image for `platform`, by default the engine's; load it if necessary.

    Without `platform`, an image that the engine already has is used whatever its platform, so users who
    emulate another one can load its images beforehand.
    """
    if found := find_loaded(archive, engine, cache=cache, platform=platform):
        return found
    info = engine.info()
    image = select_image(archive, info, platform)
    with file_cache.lock(cache, image.id, check_cancelled, on_lock):
        return (
            _find(image, engine, info, cache)
            or _find_by_content(image, engine, info, cache)
            or _load(archive, image, engine, cache, progress)
        )


def find_loaded(
    archive: ImageArchive, engine: Engine, *, cache: Path, platform: str = ""
) -> EngineImage | None:
    """Return the archive's image if the engine has it. Raises `ImageError` with cause IMAGE_PLATFORM."""
    info = engine.info()
    if len(archive.images) == 1 and not platform and (found := _find(archive.images[0], engine, info, cache)):
        return found
    return _find(select_image(archive, info, platform), engine, info, cache)


def select_image(archive: ImageArchive, info: EngineInfo, platform: str = "") -> ArchivedImage:
    """Select the image for `platform`, by default the engine's, or one that the engine runs natively.

    Raises `ImageError` with cause IMAGE_PLATFORM.
    """
    own = info.platform
    wanted = [parse_platform(platform)] if platform else [own]
    if not platform and own.architecture in ALSO_RUNS:
        wanted.append(Platform(own.os, ALSO_RUNS[own.architecture]))
    if found := next(filter(None, (_matching(archive, each) for each in wanted)), None):
        return found
    platforms = ", ".join(sorted(image.platform for image in archive.images))
    if platform:
        message, remedy = f"{archive.name} is for {platforms}, not for {platform}", "pass another --platform"
    else:
        message = f"{archive.name} is for {platforms}; the engine runs {own}"
        first = archive.images[0].normal_platform
        remedy = f"build the image with: docker build --platform {own}; or emulate it: --platform {first}"
    raise ImageError(
        message, cause=Cause.IMAGE_PLATFORM, remedy=remedy, archive=archive.name, platforms=platforms
    )


def published_image(archive: ImageArchive, platform: str = "") -> ArchivedImage:
    """Return the image for `platform`, by default that of most clusters, else the first one.

    Raises `ImageError` with cause IMAGE_PLATFORM.
    """
    if platform:
        return select_image(archive, EngineInfo("", "", "", "", 0, 0, ""), platform)
    return _matching(archive, Platform(*USUAL_PLATFORM.split("/"))) or archive.images[0]


def _matching(archive: ImageArchive, wanted: Platform) -> ArchivedImage | None:
    matching = [image for image in archive.images if wanted.accepts(image.normal_platform)]
    # the basic variant, or the one that was asked for rather than an earlier one
    choose = max if wanted.variant else min
    return choose(matching, key=lambda image: image.normal_platform.variant) if matching else None


def _find(image: ArchivedImage, engine: Engine, info: EngineInfo, cache: Path) -> EngineImage | None:
    """Find an image by its id, or, if the engine has ids of its own, by everything that may lead to it."""
    if info.image_ids == "config" and (found := engine.find_image(image.id)):
        return found
    entry = file_cache.read_entry(cache, "images", image.id[7:])
    known = entry.get("engine_id") if entry else None
    if isinstance(known, str) and known and (found := engine.find_image(known)):
        return found
    if info.image_ids == "config":
        return None
    from localrun.bundle.images.retag import local_name

    for name in (local_name(image), *image.manifests):
        found = engine.find_image(name, str(image.normal_platform))
        if found is not None and found.content == image.content:
            return found
    return None


def _find_by_content(
    image: ArchivedImage, engine: Engine, info: EngineInfo, cache: Path
) -> EngineImage | None:
    """Find an image that the engine has stored under another id, e.g. one that `docker load` has loaded."""
    if info.image_ids == "config" or not image.content:
        return None
    found = next((each for each in engine.images({}) if each.content == image.content), None)
    if found is not None:
        file_cache.write_entry(cache, "images", image.id[7:], {"engine_id": found.id})
    return found


def _load(
    archive: ImageArchive, image: ArchivedImage, engine: Engine, cache: Path, progress: Progress
) -> EngineImage:
    from localrun.bundle.images.retag import retag

    info = engine.info()
    _check_space(archive, image, info)
    try:
        loaded = engine.load_image(retag(archive, image, progress, verify=not info.verifies_layers))
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
