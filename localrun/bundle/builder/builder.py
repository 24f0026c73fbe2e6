"""Write a bundle: build its image, save it so that App Engine accepts it, and pack it with its descriptor.

The same descriptor and image give the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from localrun import fs
from localrun.bundle.builder import image_file
from localrun.bundle.builder.image_tar import ImageTar
from localrun.bundle.builder.zip_writer import ZipWriter
from localrun.bundle.images.compressed import CHUNK
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.load import select_image
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.bundle.reader import Bundle, read_bundle
from localrun.bundle.validation.upload import archive_name, image_name
from localrun.bundle.validation.validator import ValidationReport, validate
from localrun.descriptor import Descriptor
from localrun.engines.base import Engine, Progress, no_progress
from localrun.errors import Cause, LocalrunError, UsageError

__all__ = ["ArchiveMember", "BuildOptions", "BuiltBundle", "build", "default_name"]

EngineFactory = Callable[[], Engine]  # called only when an engine is needed

DESCRIPTOR = "descriptor.yml"
LOGO = "logo.png"  # App Engine: kept and shown
_USUAL = ("linux", "amd64")


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """One part of a bundle, and its size in bytes; `inner` are the layers of an image."""

    name: str
    size: int
    layers: tuple[ArchiveMember, ...] = ()


@dataclass(frozen=True, slots=True)
class BuiltBundle:
    """A bundle that was made: its size in bytes, its SHA-256, its parts, and what App Engine would say.

    `written` is false when App Engine would refuse it, and so no file was left.
    """

    path: Path
    size: int
    digest: str
    members: tuple[ArchiveMember, ...]
    report: ValidationReport
    written: bool = True


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What to pack: a bundle in any form, the `image` in place of its own, `build_args` for a Dockerfile.

    `target` is the zip to write (default: `default_name`, here). `force`: also when App Engine would
    refuse it.
    """

    bundle: Path
    target: Path | None = None
    image: str | None = None
    build_args: Mapping[str, str] | None = None
    force: bool = False


def default_name(descriptor: Descriptor) -> str:
    """`{namespace}-{version}.zip`."""
    return archive_name(descriptor).removesuffix(".tar") + ".zip"


def build(
    order: BuildOptions, engine: EngineFactory, *, cache: Path, progress: Progress = no_progress
) -> BuiltBundle:
    """Build, pack and check a bundle; the zip appears whole or not at all.

    Raises `BundleError`, `DescriptorError`, `ImageError` for what cannot be packed, `EngineError`, and
    `UsageError` when the target cannot be written.
    """
    found = read_bundle(order.bundle, image=order.image, cache=cache, build_args=order.build_args)
    target = (order.target or Path(default_name(found.descriptor))).absolute()
    file = Path(fs.temp_path(f"{target}.image"))
    with _temp_zip(target) as draft, _archived(found, engine, cache, file, progress) as (archive, image):
        parts = _write(draft, found, archive, image, progress)
        report = replace(validate(draft, cache=cache, engine=engine), bundle=str(target))
        written = report.accepted or order.force
        package = BuiltBundle(target, draft.stat().st_size, _digest(draft), parts, report, written)
        if written:
            draft.replace(target)
    return package


def _archived(
    bundle: Bundle, engine: EngineFactory, cache: Path, file: Path, progress: Progress
) -> AbstractContextManager[tuple[ImageArchive, ArchivedImage]]:
    if isinstance(bundle.image, ImageArchive):
        return _plain(bundle.image, file, progress)
    return _saved(bundle, engine(), cache, file, progress)


@contextmanager
def _plain(
    archive: ImageArchive, file: Path, progress: Progress
) -> Iterator[tuple[ImageArchive, ArchivedImage]]:
    with image_file.uncompressed(archive, file, progress) as found:
        usual = [image for image in found.images if (image.os, image.architecture) == _USUAL]
        yield found, (usual or list(found.images))[0]


@contextmanager
def _saved(
    bundle: Bundle, engine: Engine, cache: Path, file: Path, progress: Progress
) -> Iterator[tuple[ImageArchive, ArchivedImage]]:
    image = ensure_image(bundle.image, engine, cache=cache, progress=progress)
    with image_file.saved_image(engine, image.id, bundle.image_name, file, progress) as archive:
        yield archive, select_image(archive, engine.info())


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
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LocalrunError(
            f"the disk of {target.parent} is full",
            cause=Cause.DISK_FULL,
            remedy="make room: the image needs its size twice while it is packed",
        )
    return UsageError(
        f"{target} cannot be written: {error.strerror}", remedy="give another file with -o", path=str(target)
    )


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
    """The picture beside the descriptor of a folder, if there is one."""
    if bundle.path is None or not bundle.path.is_dir():
        return b""
    names = [entry for entry in bundle.path.iterdir() if entry.name.lower() == LOGO]
    file = next((entry for entry in names if entry.is_file() and not entry.is_symlink()), None)
    return file.read_bytes() if file else b""


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        for chunk in iter(partial(opened.read, CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()
