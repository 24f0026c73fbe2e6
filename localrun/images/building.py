"""Build the image of a folder, once for each content."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from localrun.engines.base import LABEL, Engine, Image, Progress
from localrun.errors import EngineError
from localrun.images import cache as notes
from localrun.images.context import digest
from localrun.images.source import ImageFolder

BUILD_LABEL = LABEL + ".build"
REPOSITORY = "localrun/build"


def build(
    source: ImageFolder,
    engine: Engine,
    *,
    cache: Path,
    progress: Progress,
    check_cancelled: Callable[[], None],
) -> Image:
    """Give the folder's image, built if its content (or a build argument) has changed.

    Images of former contents of the same folder lose their name, and go unless something uses them.
    Raises `ImageError` with IMAGE_BUILD_FAILED.
    """
    name = name_of(source, cache)
    if found := engine.find_image(name):
        return found
    folder = source.folder.resolve()
    with notes.lock(cache, str(folder), check_cancelled):
        if found := engine.find_image(name):
            return found
        labels = labels_of(folder)
        made = engine.build_image(
            folder,
            dockerfile=source.dockerfile,
            name=name,
            labels=labels,
            build_args=source.build_args,
            progress=progress,
        )
        _remove_older(engine, labels, name)
        return made


def name_of(source: ImageFolder, cache: Path) -> str:
    """The name of the image of a folder's present content."""
    return f"{REPOSITORY}:{digest(source, cache)}"


def labels_of(folder: Path) -> dict[str, str]:
    """What marks the images of one folder, without telling where it is."""
    import hashlib

    path = str(folder).encode("utf-8", "surrogateescape")
    return {BUILD_LABEL: hashlib.sha256(path).hexdigest()[:32]}


def _remove_older(engine: Engine, labels: dict[str, str], name: str) -> None:
    for image in engine.images(labels):
        names = image.tags or (image.id,)
        for old in names:
            if old != name and (old == image.id or old.startswith(f"{REPOSITORY}:")):
                with suppress(EngineError):  # a container still uses it; the next build tries again
                    engine.remove_image(old)
