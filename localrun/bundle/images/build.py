"""Build the image of a folder, once per content."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from localrun.bundle.images import file_cache
from localrun.bundle.images.build_context import context_digest
from localrun.bundle.images.file_cache import CancelCheck
from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import BuildRequest, Engine, EngineImage, Progress
from localrun.engines.labels import LABEL_BUILD
from localrun.errors import EngineError, ImageError

Warn = Callable[[str], None]

BUILD_REPOSITORY = "localrun/build"
TEMPORARY_SEPARATOR = "-"  # between the digest and the random suffix of a build in progress


def build_folder(
    source: ImageFolder,
    engine: Engine,
    *,
    cache: Path,
    progress: Progress,
    check_cancelled: CancelCheck,
    warn: Warn,
) -> EngineImage:
    """Return the image of a folder; build it if the content, an option or the builder has changed.

    Images of the folder's earlier contents are removed unless they are in use. `warn` receives, before the
    build, what the engine's builder does not support. Raises `ImageError` with cause IMAGE_BUILD_FAILED.
    """
    name = image_tag(source, engine.builder(), cache)
    folder = source.folder.resolve()
    request = BuildRequest(
        folder,
        name,
        dockerfile=source.dockerfile,
        labels=build_labels(folder),
        build_args=source.build_args,
        target=source.target,
        secrets=source.secrets,
        contexts=source.contexts,
    )
    for warning in engine.build_warnings(request):
        warn(warning)
    if found := engine.find_image(name):
        return found
    with file_cache.lock(cache, str(folder), check_cancelled):
        if found := engine.find_image(name):
            return found
        # A process with another cache may build the same content. An existing name is never moved, because
        # the image that loses it would become dangling.
        temporary = f"{name}{TEMPORARY_SEPARATOR}{secrets.token_hex(4)}"
        try:
            made = engine.build_image(replace(request, name=temporary), progress)
        except ImageError:
            # a faster build of the same content may have removed the layers that this build used
            if found := engine.find_image(name):
                return found
            raise
        _publish(engine, temporary, name)
        _remove_older(engine, request.labels, name)
        return engine.find_image(name) or made


def _publish(engine: Engine, temporary: str, name: str) -> None:
    try:
        if engine.find_image(name) is None:
            engine.tag_image(temporary, name)
    finally:
        engine.remove_image(temporary)


def image_tag(source: ImageFolder, builder: str, cache: Path) -> str:
    """Return the name of the image that `builder` (`Engine.builder`) makes of a folder."""
    import hashlib

    digest = hashlib.sha256(f"{builder} {context_digest(source, cache)}".encode())
    return f"{BUILD_REPOSITORY}:{digest.hexdigest()}"


def build_labels(folder: Path) -> dict[str, str]:
    """Return the labels that mark all images of a folder, without revealing its path."""
    import hashlib

    path = str(folder).encode("utf-8", "surrogateescape")
    return {LABEL_BUILD: hashlib.sha256(path).hexdigest()[:32]}


def _remove_older(engine: Engine, labels: Mapping[str, str], name: str) -> None:
    for image in engine.images(labels):
        names = image.tags or (image.id,)
        for old in names:
            is_final = old.startswith(f"{BUILD_REPOSITORY}:") and TEMPORARY_SEPARATOR not in old
            if old != name and (old == image.id or is_final):
                with suppress(EngineError):  # still used by a container; the next build tries again
                    engine.remove_image(old)
