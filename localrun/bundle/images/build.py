"""Build the image of a folder, once per content."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

from localrun.bundle.images import file_cache
from localrun.bundle.images.build_context import context_digest
from localrun.bundle.images.file_cache import CancelCheck
from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import Engine, EngineImage, Progress
from localrun.engines.labels import LABEL_BUILD
from localrun.errors import EngineError, ImageError

BUILD_REPOSITORY = "localrun/build"
TEMPORARY_SEPARATOR = "-"  # between the digest and the random suffix of a build in progress


def build_folder(
    source: ImageFolder, engine: Engine, *, cache: Path, progress: Progress, check_cancelled: CancelCheck
) -> EngineImage:
    """Return the image of a folder; build it if the content or a build argument has changed.

    Images of the folder's earlier contents are removed unless they are in use. Raises `ImageError` with cause
    IMAGE_BUILD_FAILED.
    """
    name = image_tag(source, cache)
    if found := engine.find_image(name):
        return found
    folder = source.folder.resolve()
    with file_cache.lock(cache, str(folder), check_cancelled):
        if found := engine.find_image(name):
            return found
        labels = build_labels(folder)
        # A process with another cache may build the same content. An existing name is never moved, because
        # the image that loses it would become dangling.
        temporary = f"{name}{TEMPORARY_SEPARATOR}{secrets.token_hex(4)}"
        try:
            made = engine.build_image(
                folder,
                dockerfile=source.dockerfile,
                name=temporary,
                labels=labels,
                build_args=source.build_args,
                progress=progress,
            )
        except ImageError:
            # a faster build of the same content may have removed the layers that this build used
            if found := engine.find_image(name):
                return found
            raise
        _publish(engine, temporary, name)
        _remove_older(engine, labels, name)
        return engine.find_image(name) or made


def _publish(engine: Engine, temporary: str, name: str) -> None:
    try:
        if engine.find_image(name) is None:
            engine.tag_image(temporary, name)
    finally:
        engine.remove_image(temporary)


def image_tag(source: ImageFolder, cache: Path) -> str:
    """Return the name of the image for the current content of a folder."""
    return f"{BUILD_REPOSITORY}:{context_digest(source, cache)}"


def build_labels(folder: Path) -> dict[str, str]:
    """Return the labels that mark all images of a folder, without revealing its path."""
    import hashlib

    path = str(folder).encode("utf-8", "surrogateescape")
    return {LABEL_BUILD: hashlib.sha256(path).hexdigest()[:32]}


def _remove_older(engine: Engine, labels: dict[str, str], name: str) -> None:
    for image in engine.images(labels):
        names = image.tags or (image.id,)
        for old in names:
            is_final = old.startswith(f"{BUILD_REPOSITORY}:") and TEMPORARY_SEPARATOR not in old
            if old != name and (old == image.id or is_final):
                with suppress(EngineError):  # still used by a container; the next build tries again
                    engine.remove_image(old)
