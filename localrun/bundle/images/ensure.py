"""Find, load, build or pull the image of a bundle. Images are identified by id, never by tag.

The user's tags are never created, moved or removed. Loaded images are called `localrun/image:<id>`, built
ones `localrun/build:<digest of the folder>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from localrun.bundle.images.file_cache import CancelCheck, OnLock, ignore_wait
from localrun.bundle.images.source import ImageArchive, ImageFolder, ImageSource
from localrun.engines.architectures import parse_platform
from localrun.engines.base import Engine, EngineImage, Progress, Warn, no_progress, no_warning
from localrun.errors import Cause, EngineError, ImageError

PullPolicy = Literal["never", "missing", "always"]


def ensure_image(
    source: ImageSource,
    engine: Engine,
    *,
    cache: Path,
    pull: PullPolicy = "missing",
    platform: str = "",
    progress: Progress = no_progress,
    check_cancelled: CancelCheck = lambda: None,
    warn: Warn = no_warning,
    on_lock: OnLock = ignore_wait,
) -> EngineImage:
    """Make sure that the engine has the image of a bundle, and return the image.

    An existing image is not loaded or built again, and processes that share `cache` do the work once. `pull`
    applies to references only. `platform` is e.g. `linux/arm64`; empty: the engine's. `progress` receives
    byte counts. `check_cancelled` is called often and may raise to cancel. `warn` receives what docker's
    credentials and the builder of a folder lack, `on_lock` the seconds of a wait for another process. Raises
    `ImageError` or `EngineError`, and leaves nothing behind.
    """

    def report(what: str, done: int, total: int | None) -> None:
        check_cancelled()
        progress(what, done, total)

    with _naming_full_disk(engine):
        if isinstance(source, ImageArchive):
            from localrun.bundle.images.load import load_archive

            return load_archive(
                source,
                engine,
                cache=cache,
                progress=report,
                check_cancelled=check_cancelled,
                on_lock=on_lock,
                platform=platform,
            )
        if isinstance(source, ImageFolder):
            from localrun.bundle.images.build import build_folder

            built = build_folder(
                source,
                engine,
                cache=cache,
                progress=report,
                check_cancelled=check_cancelled,
                on_lock=on_lock,
                warn=warn,
                platform=platform,
            )
            _check_platform(built, platform)
            return built
        from localrun.bundle.images.pull import pull_image

        return pull_image(
            source.reference,
            engine,
            policy=pull,
            cache=cache,
            progress=report,
            check_cancelled=check_cancelled,
            on_lock=on_lock,
            platform=platform,
            warn=warn,
        )


def find_present(
    source: ImageSource, engine: Engine, *, cache: Path, pull: PullPolicy = "missing", platform: str = ""
) -> EngineImage | None:
    """Return the image of a bundle that `ensure_image` would return without any work, or None.

    Raises `ImageError` or `EngineError`.
    """
    if isinstance(source, ImageArchive):
        from localrun.bundle.images.load import find_loaded

        return find_loaded(source, engine, cache=cache, platform=platform)
    if isinstance(source, ImageFolder):
        from localrun.bundle.images.build import image_tag

        found = engine.find_image(image_tag(source, engine, cache, platform=platform))
        if found is not None:
            _check_platform(found, platform)
        return found
    from localrun.bundle.images.pull import find_local

    return find_local(source.reference, engine, policy=pull, platform=platform)


def _check_platform(built: EngineImage, platform: str) -> None:
    """Raise `ImageError` for another platform: the classic builder accepts a base image of any."""
    wanted = parse_platform(platform) if platform else built.platform
    if built.platform.architecture not in ("", wanted.architecture):
        raise ImageError(
            f"the image was built for {built.platform}, the platform of its base image, not for {platform}",
            remedy=f"use a base image for {platform}, or pass --platform {built.platform}",
            cause=Cause.IMAGE_PLATFORM,
        )


@contextmanager
def _naming_full_disk(engine: Engine) -> Iterator[None]:
    """Add the engine's data folder to an error of the block that says that the engine's disk is full."""
    try:
        yield
    except EngineError as error:
        if error.cause is Cause.DISK_FULL and "root" not in error.facts and (root := engine.info().root):
            message = error.message.replace("engine's disk is", f"engine's disk ({root}) is")
            facts = {**error.facts, "root": root}
            raise EngineError(message, remedy=error.remedy, cause=error.cause, **facts) from error
        raise
