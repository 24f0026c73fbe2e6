"""Build the image of a folder, once per content."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from localrun.bundle.images import file_cache
from localrun.bundle.images.build_context import context_digest
from localrun.bundle.images.build_secrets import MaskedBuild, check_secrets
from localrun.bundle.images.file_cache import CancelCheck, OnLock
from localrun.bundle.images.source import ImageFolder
from localrun.bundle.lfs import context_warnings
from localrun.engines.base import (
    IMAGE_CONTEXT,
    BuildRequest,
    Engine,
    EngineImage,
    Progress,
    Warn,
    no_progress,
)
from localrun.engines.context.files import BuildContext
from localrun.engines.labels import BUILD_REPOSITORY, LABEL_BUILD
from localrun.errors import EngineError, ImageError
from localrun.masking.masker import url_passwords

DOCKERFILE = "Dockerfile"
TEMPORARY_SEPARATOR = "-"  # between the digest and the random suffix of a build in progress


def build_folder(
    source: ImageFolder,
    engine: Engine,
    *,
    cache: Path,
    progress: Progress,
    check_cancelled: CancelCheck,
    on_lock: OnLock,
    warn: Warn,
    platform: str = "",
) -> EngineImage:
    """Return the image of a folder; build it if the content, an option or the builder has changed.

    Images of the folder's earlier contents are removed unless they are in use. An image of a folder that
    changes during the build is not found by the next call. `warn` receives, before the build, what the
    engine's builder does not support. Raises `ImageError` with cause IMAGE_BUILD_FAILED.
    """
    name = image_tag(source, engine, cache, progress, platform)
    request = _request(source, name, platform)
    folder = request.folder
    for warning in engine.build_warnings(request):
        warn(warning)
    if found := engine.find_image(name):
        return found
    with file_cache.lock(cache, str(folder), check_cancelled, on_lock):
        if found := engine.find_image(name):
            return found
        check_secrets(source)
        for warning in context_warnings(BuildContext(folder, source.dockerfile)):
            warn(warning)
        masked = MaskedBuild(source.secrets, url_passwords(engine.proxies().values()))
        # A process with another cache may build the same content. An existing name is never moved, because
        # the image that loses it would become dangling.
        temporary = f"{name}{TEMPORARY_SEPARATOR}{os.urandom(4).hex()}"
        try:
            with masked.errors():
                made = engine.build_image(
                    replace(request, name=temporary), masked.progress(progress), masked.warn(warn)
                )
        except ImageError:
            # a faster build of the same content may have removed the layers that this build used
            if found := engine.find_image(name):
                return found
            raise
        try:
            if _has_changed(source, engine, cache, name, platform):
                warn(f"files in {folder} changed during the build: the next run builds the image again")
                name = f"{BUILD_REPOSITORY}:{os.urandom(32).hex()}"  # not the digest of any content
            if engine.find_image(name) is None:
                engine.tag_image(temporary, name)
        finally:
            engine.remove_image(temporary)
        _remove_older(engine, request.labels, name)
        return engine.find_image(name) or made


def _request(source: ImageFolder, name: str, platform: str) -> BuildRequest:
    folder = source.folder.resolve()
    return BuildRequest(
        folder,
        name,
        dockerfile=source.dockerfile,
        labels=build_labels(folder, source.dockerfile, source.target, platform, source.mounted),
        build_args=source.build_args,
        target=source.target,
        secrets=source.secrets,
        contexts=source.contexts,
        platform=platform,
    )


def _has_changed(source: ImageFolder, engine: Engine, cache: Path, name: str, platform: str) -> bool:
    """Return whether a folder does not have the content any more that `name` stands for."""
    try:
        return image_tag(source, engine, cache, platform=platform) != name
    except ImageError:  # a file cannot be read any more
        return True


def image_tag(
    source: ImageFolder, engine: Engine, cache: Path, progress: Progress = no_progress, platform: str = ""
) -> str:
    """Return the name of the image that the engine's builder makes of the current content of a folder."""
    import hashlib

    contexts = {name: _resolve(reference, engine) for name, reference in source.contexts.items()}
    content = context_digest(source, cache, contexts, progress)
    facts = [engine.builder(), content, *([platform] if platform else [])]
    digest = hashlib.sha256(" ".join(facts).encode())
    return f"{BUILD_REPOSITORY}:{digest.hexdigest()}"


def _resolve(reference: str, engine: Engine) -> str:
    """Return the id of the image of a build context, or the reference if the engine does not have it."""
    found = engine.find_image(reference.removeprefix(IMAGE_CONTEXT))
    return found.id if found else reference


def build_labels(
    folder: Path,
    dockerfile: str = DOCKERFILE,
    target: str = "",
    platform: str = "",
    mounted: Sequence[str] = (),
) -> dict[str, str]:
    """Return the labels that mark all images of a folder, without revealing its path.

    Images of another Dockerfile, target or platform of the same folder, or for a task that mounts other paths
    of it, have other labels, so none of them replaces another one.
    """
    import hashlib

    which = [str(folder), *([dockerfile, target] if (dockerfile, target) != (DOCKERFILE, "") else [])]
    which += [platform] if platform else []
    which += ["mounted", *mounted] if mounted else []
    path = "\0".join(which).encode("utf-8", "surrogateescape")
    return {LABEL_BUILD: hashlib.sha256(path).hexdigest()[:32]}


def _remove_older(engine: Engine, labels: Mapping[str, str], name: str) -> None:
    for image in engine.images(labels):
        # an image without a name may be the user's: it inherits the labels of the image it is based on
        for old in image.tags:
            is_final = old.startswith(f"{BUILD_REPOSITORY}:") and TEMPORARY_SEPARATOR not in old
            if old != name and is_final:
                with suppress(EngineError):  # still used by a container; the next build tries again
                    engine.remove_image(old)
