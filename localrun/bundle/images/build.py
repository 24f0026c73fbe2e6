"""Build the image of a folder, once for each content."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from localrun.bundle.images import file_cache
from localrun.bundle.images.build_context import context_digest
from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import Engine, EngineImage, Progress
from localrun.engines.labels import LABEL_BUILD
from localrun.errors import EngineError, ImageError

BUILD_REPOSITORY = "localrun/build"
TEMPORARY_SEPARATOR = "-"  # between the name of a content and what tells two builds of it apart


def build_folder(
    source: ImageFolder,
    engine: Engine,
    *,
    cache: Path,
    progress: Progress,
    check_cancelled: Callable[[], None],
) -> EngineImage:
    """Give the folder's image, built if its content (or a build argument) has changed.

    Images of former contents of the same folder lose their name, and go unless something uses them.
    Raises `ImageError` with IMAGE_BUILD_FAILED.
    """
    name = image_tag(source, cache)
    if found := engine.find_image(name):
        return found
    folder = source.folder.resolve()
    with file_cache.lock(cache, str(folder), check_cancelled):
        if found := engine.find_image(name):
            return found
        labels = build_labels(folder)
        # somebody with another cache may build the same: a name that is given is not taken away again,
        # for the image that loses it would stay without one
        own = f"{name}{TEMPORARY_SEPARATOR}{secrets.token_hex(4)}"
        try:
            made = engine.build_image(
                folder,
                dockerfile=source.dockerfile,
                name=own,
                labels=labels,
                build_args=source.build_args,
                progress=progress,
            )
        except ImageError:
            # a build of the same that was quicker has cleared up the steps that this one stood on
            if found := engine.find_image(name):
                return found
            raise
        _publish(engine, own, name)
        _remove_older(engine, labels, name)
        return engine.find_image(name) or made


def _publish(engine: Engine, own: str, name: str) -> None:
    try:
        if engine.find_image(name) is None:
            engine.tag_image(own, name)
    finally:
        engine.remove_image(own)


def image_tag(source: ImageFolder, cache: Path) -> str:
    """The name of the image of a folder's present content."""
    return f"{BUILD_REPOSITORY}:{context_digest(source, cache)}"


def build_labels(folder: Path) -> dict[str, str]:
    """What marks the images of one folder, without telling where it is."""
    import hashlib

    path = str(folder).encode("utf-8", "surrogateescape")
    return {LABEL_BUILD: hashlib.sha256(path).hexdigest()[:32]}


def _remove_older(engine: Engine, labels: dict[str, str], name: str) -> None:
    for image in engine.images(labels):
        names = image.tags or (image.id,)
        for old in names:
            ours = old.startswith(f"{BUILD_REPOSITORY}:") and TEMPORARY_SEPARATOR not in old
            if old != name and (old == image.id or ours):
                with suppress(EngineError):  # a container still uses it; the next build tries again
                    engine.remove_image(old)
