"""Load an image from its archive, once, unless the engine has it already under whatever name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from localrun.bundle.images import file_cache
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.engines.base import Engine, EngineImage, EngineInfo, Progress
from localrun.errors import Cause, EngineError, ImageError

# Other words for the same machines, and what else a machine runs by itself.
_ALIASES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "i386": "386",
    "i686": "386",
}
_ALSO_RUNS = {"amd64": "386", "arm64": "arm"}


def load_archive(
    archive: ImageArchive,
    engine: Engine,
    *,
    cache: Path,
    progress: Progress,
    check_cancelled: Callable[[], None],
) -> EngineImage:
    """Give the archive's image for this engine, loaded if need be.

    An image that the engine has already is taken as it is, whatever its platform: somebody who can
    emulate another machine may load its images beforehand.
    """
    if len(archive.images) == 1 and (found := _find(archive.images[0], engine, cache)):
        return found
    image = select_image(archive, engine.info())
    if found := _find(image, engine, cache):
        return found
    with file_cache.lock(cache, image.id, check_cancelled):
        return _find(image, engine, cache) or _load(archive, image, engine, cache, progress)


def select_image(archive: ImageArchive, info: EngineInfo) -> ArchivedImage:
    """Pick the image for the engine's platform. Raises `ImageError` with IMAGE_PLATFORM."""
    machine = _ALIASES.get(info.architecture, info.architecture)
    for wanted in (machine, _ALSO_RUNS.get(machine)):
        fits = [image for image in archive.images if _fits(image, info.os, wanted)]
        if fits:
            return min(fits, key=lambda image: image.variant)
    there = ", ".join(sorted(image.platform for image in archive.images))
    raise ImageError(
        f"{archive.name} is for {there}; the engine runs {info.os}/{machine}",
        cause=Cause.IMAGE_PLATFORM,
        remedy=f"build the image with: docker build --platform {info.os}/{machine}",
        archive=archive.name,
        platforms=there,
    )


def _fits(image: ArchivedImage, system: str, machine: str | None) -> bool:
    own = _ALIASES.get(image.architecture, image.architecture)
    return image.os in ("", system) and own in ("", machine)


def _find(image: ArchivedImage, engine: Engine, cache: Path) -> EngineImage | None:
    return engine.find_image(image.id) or _find_remembered(image, engine, cache)


def _find_remembered(image: ArchivedImage, engine: Engine, cache: Path) -> EngineImage | None:
    """Engines that keep images in containerd give them ids of their own; the cache knows which."""
    note = file_cache.read_entry(cache, "images", image.id[7:])
    known = note.get("engine_id") if note else None
    return engine.find_image(known) if isinstance(known, str) and known else None


def _load(
    archive: ImageArchive, image: ArchivedImage, engine: Engine, cache: Path, progress: Progress
) -> EngineImage:
    from localrun.bundle.images.retag import retag

    try:
        loaded = engine.load_image(retag(archive, image, progress))
    except ImageError as error:
        raise _explained(archive, image, error) from error
    found = engine.find_image(loaded)
    if found is None:
        raise EngineError(
            f"the engine loaded {archive.name} as {loaded}, and does not know it a moment later",
            remedy="see whether something removes images, such as docker image prune, and run again",
        )
    if loaded != image.id:
        file_cache.write_entry(cache, "images", image.id[7:], {"engine_id": loaded})
    return found


def _explained(archive: ImageArchive, image: ArchivedImage, error: ImageError) -> ImageError:
    if "archive" in error.facts:
        return error
    remedy = error.remedy
    if image.zstd:
        remedy = (
            "its layers are compressed with zstd, which Docker reads since 23.0: use gzip, or a newer engine"
        )
    return ImageError(
        f"{archive.name}: {error.message}",
        remedy=remedy,
        cause=error.cause,
        **error.facts,
        archive=archive.name,
    )
