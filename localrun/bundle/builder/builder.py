"""Build a bundle: build its image, convert it for App Engine, and pack it with the descriptor.

The same descriptor and image give the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from localrun import fs
from localrun.bundle.builder import image_file
from localrun.bundle.builder.image_tar import ImageTar
from localrun.bundle.builder.zip_writer import ZipWriter
from localrun.bundle.images.build_options import NO_OPTIONS, FolderBuild
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.load import published_image, select_image
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.bundle.reader import Bundle, read_bundle
from localrun.bundle.validation.upload import archive_name, image_name
from localrun.bundle.validation.validator import ValidationReport, validate
from localrun.descriptor import Descriptor
from localrun.engines.base import Engine, Progress, Warn, no_progress, no_warning
from localrun.errors import Cause, LocalrunError, UsageError
from localrun.units import format_bytes

__all__ = ["ArchiveMember", "BuildOptions", "BuiltBundle", "build", "default_name"]

EngineFactory = Callable[[], Engine]  # called only if an engine is needed

DESCRIPTOR = "descriptor.yml"
LOGO = "logo.png"  # shown by App Engine
_LEAST_SPACE = 16 << 20  # bytes that must be free before an image of unknown size is built


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A member of a bundle with its size in bytes; an image has `layers`."""

    name: str
    size: int
    layers: tuple[ArchiveMember, ...] = ()


@dataclass(frozen=True, slots=True)
class BuiltBundle:
    """A built bundle: size in bytes, SHA-256, members, and the validation report.

    `written` is false if App Engine would refuse the bundle, so that no file was written.
    """

    path: Path
    size: int
    digest: str
    members: tuple[ArchiveMember, ...]
    report: ValidationReport
    written: bool = True


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The source and target of a build.

    `image` replaces the bundle's own image, `build` has the options for a Dockerfile. `target` is the zip to
    write (default: `default_name` in the working directory). `force` writes it even if it would be refused.
    """

    bundle: Path
    target: Path | None = None
    image: str | None = None
    build: FolderBuild = NO_OPTIONS
    force: bool = False


def default_name(descriptor: Descriptor) -> str:
    """Return `{namespace}-{version}.zip`."""
    return archive_name(descriptor).removesuffix(".tar") + ".zip"


def build(
    options: BuildOptions,
    engine: EngineFactory,
    *,
    cache: Path,
    progress: Progress = no_progress,
    warn: Warn = no_warning,
) -> BuiltBundle:
    """Build, pack and validate a bundle; the zip is written atomically.

    `warn` receives what the builder of the image does not support, before it starts. Raises `BundleError`,
    `DescriptorError` or `ImageError` if the bundle is invalid, `EngineError`, and `UsageError` if the target
    cannot be written.
    """
    found = read_bundle(options.bundle, image=options.image, cache=cache, build=options.build)
    target = (options.target or Path(default_name(found.descriptor))).absolute()
    if fs.is_special(target):
        raise UsageError(f"cannot write {target}: not a regular file", remedy="choose another file")
    file = Path(fs.temp_path(f"{target}.image"))
    platform = options.build.platform
    archived = _archived(found, engine, cache, file, platform=platform, progress=progress, warn=warn)
    with _temp_zip(target) as draft, archived as (archive, image):
        parts = _write(draft, found, archive, image, progress)
        with ThreadPoolExecutor(1) as thread:  # both read the whole file, and hashing releases the GIL
            digest = thread.submit(_digest, draft)
            report = replace(validate(draft, cache=cache, engine=engine), bundle=str(target))
        written = report.accepted or options.force
        package = BuiltBundle(target, draft.stat().st_size, digest.result(), parts, report, written)
        if written:
            draft.replace(target)
    return package


@contextmanager
def _archived(
    bundle: Bundle,
    engine: EngineFactory,
    cache: Path,
    file: Path,
    *,
    platform: str,
    progress: Progress,
    warn: Warn,
) -> Iterator[tuple[ImageArchive, ArchivedImage]]:
    """Yield the bundle's image in an uncompressed archive, written to `file` if necessary."""
    if isinstance(bundle.image, ImageArchive):
        size = max(image.size for image in bundle.image.images)
        check_space(file.parent, size * (2 if bundle.image.span.compression else 1))
        with image_file.uncompressed(bundle.image, file, progress) as archive:
            yield archive, published_image(archive, platform)
        return
    check_space(file.parent, _LEAST_SPACE)  # a build may take long
    source = engine()
    for warning in source.info().warnings:
        warn(warning)
    image = ensure_image(bundle.image, source, cache=cache, platform=platform, progress=progress, warn=warn)
    check_space(file.parent, 2 * image.size)
    with image_file.saved_image(source, image, bundle.image_name, file, progress) as archive:
        yield archive, select_image(archive, source.info(), platform or str(image.platform))


def check_space(folder: Path, needed: int) -> None:
    """Raise `LocalrunError` with cause DISK_FULL unless the disk of a folder has `needed` free bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LocalrunError(
            f"not enough space on the disk of {folder}: packing needs about {format_bytes(needed)},"
            f" {format_bytes(free)} are free",
            remedy="free some space, or choose a file on another disk with -o",
            cause=Cause.DISK_FULL,
            path=str(folder),
            needed=needed,
            free=free,
        )


@contextmanager
def _temp_zip(target: Path) -> Iterator[Path]:
    """Create a temporary file next to the target, deleted afterwards unless it was renamed."""
    try:
        with fs.temp_file(target) as temp:
            temp.touch()
            yield temp
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: OSError) -> LocalrunError:
    if fs.is_disk_full(error):
        message = f"no space left on the disk of {target.parent}"
        remedy = "free some space (packing needs up to twice the image), or choose another disk with -o"
        return LocalrunError(message, cause=Cause.DISK_FULL, remedy=remedy)
    message = f"cannot write {target}: {error.strerror}"
    return UsageError(message, remedy="choose another file with -o", path=str(target))


def _write(
    draft: Path, bundle: Bundle, archive: ImageArchive, image: ArchivedImage, progress: Progress
) -> tuple[ArchiveMember, ...]:
    descriptor = bundle.descriptor
    tar = ImageTar(archive, image, image_name(descriptor))
    layers = tuple(ArchiveMember(layer.created_by or layer.name, layer.size) for layer in tar.layers)
    parts = [
        ArchiveMember(DESCRIPTOR, len(descriptor.source)),
        ArchiveMember(archive_name(descriptor), tar.size, layers),
    ]
    with ZipWriter(draft) as packed:
        packed.add(parts[0].name, parts[0].size, [descriptor.source])
        packed.add(parts[1].name, parts[1].size, tar.chunks(progress))
        if logo := _logo(bundle):
            parts.append(ArchiveMember(LOGO, len(logo)))
            packed.add(LOGO, len(logo), [logo])
    return tuple(parts)


def _logo(bundle: Bundle) -> bytes:
    """Return the logo next to the descriptor of a folder, if any."""
    if bundle.path is not None and bundle.path.is_dir():
        for file in bundle.path.iterdir():
            if file.name.lower() == LOGO and file.is_file() and not file.is_symlink():
                return file.read_bytes()
    return b""


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
