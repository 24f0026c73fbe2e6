"""A bundle: a descriptor and a container image, as a zip, a folder, or a descriptor and an image's name.

Whatever is wrong with a bundle is said here, all of it, before anything starts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from localrun import descriptor as descriptors
from localrun.bundle.folder import DOCKERFILE, list_files, read_descriptor
from localrun.bundle.images import file_cache
from localrun.bundle.images.compressed import FileSpan
from localrun.bundle.images.serialization import archive_from_dict, archive_to_dict
from localrun.bundle.images.source import ImageArchive, ImageFolder, ImageReference, ImageSource
from localrun.bundle.parts import Parts, is_archive, select_parts
from localrun.descriptor import yaml
from localrun.errors import BundleError, DescriptorError, ImageError, Problem

if TYPE_CHECKING:
    from localrun.descriptor import Descriptor
    from localrun.descriptor.yaml import Document

__all__ = ["Bundle", "bundle_from_image", "read_bundle", "read_image"]

CHEAP = 64 << 20  # bytes that may be decompressed just to tell one more problem
_TEXTS = (".yml", ".yaml")


class Bundle(msgspec.Struct, frozen=True):
    """A bundle that was read. `name` is what the user typed, `image_name` is for people only.

    `warnings` tell what works here and would not elsewhere.
    """

    name: str
    path: Path | None
    descriptor: Descriptor
    image: ImageSource
    image_name: str
    warnings: tuple[str, ...] = ()


def read_bundle(
    path: Path, *, image: str | None = None, cache: Path, build_args: Mapping[str, str] | None = None
) -> Bundle:
    """Read a bundle: a `.zip`, a folder of the same content, a folder with a Dockerfile, or a descriptor.

    `image` names an image to be used instead of the bundle's own; `build_args` are for a Dockerfile;
    `cache` is the folder where what is found is noted. Raises `BundleError`, `DescriptorError` or
    `ImageError`, with every problem and what to do.
    """
    order = ReadOptions(path, image, cache, dict(build_args or {}))
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return _folder(order, path)
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path} is neither a file nor a folder", remedy="give a .zip or a folder")
        if path.suffix.lower() in _TEXTS:
            return _folder(order, path.parent, path.name)
        return _zip(order, status)
    except FileNotFoundError as error:
        raise BundleError(
            f"there is no file or folder {error.filename or path}",
            remedy="check the name; a bundle is a .zip or a folder",
        ) from error
    except OSError as error:
        raise BundleError(
            f"{error.filename or path} cannot be read: {error.strerror}",
            remedy="check its name and permissions",
        ) from error


def read_image(path: Path, *, cache: Path, build_args: Mapping[str, str] | None = None) -> ImageSource:
    """The image alone: of an archive, of a folder with an archive or a Dockerfile, or of a whole bundle.

    No descriptor is looked at, but for a zip. Raises `BundleError` or `ImageError`.
    """
    try:
        if path.is_dir():
            return _image_in(path, cache, dict(build_args or {}))
        if is_archive(path.name):
            return _inspect_file(path, cache)
    except FileNotFoundError:
        pass  # `read` says so
    except OSError as error:
        raise BundleError(
            f"{error.filename or path} cannot be read: {error.strerror}", remedy="check its permissions"
        ) from error
    return read_bundle(path, cache=cache, build_args=build_args).image


def _image_in(folder: Path, cache: Path, build_args: dict[str, str]) -> ImageSource:
    names = list_files(folder)
    if not any(map(is_archive, names)):
        if DOCKERFILE in names:
            return ImageFolder(folder, DOCKERFILE, build_args)
        raise BundleError(
            f"{folder} has neither a Dockerfile nor an image archive (.tar)",
            remedy="add one, or give another folder",
        )
    return _inspect_file(folder / _checked(folder, select_parts(names, descriptor="-")).image, cache)


def bundle_from_image(found: Descriptor, path: Path, source: ImageSource) -> Bundle:
    """A bundle of an image, and of a descriptor that is not its own."""
    more = source.warnings if isinstance(source, ImageArchive) else ()
    return Bundle(str(path), path, found, source, _image_name(source), more)


class ReadOptions(NamedTuple):
    """What the caller of `read` asked for."""

    path: Path
    image: str | None
    cache: Path
    build_args: Mapping[str, str]


def _zip(order: ReadOptions, status: os.stat_result) -> Bundle:
    known = None if order.image else _known_zip(order, status)
    return known or _new_zip(order, status)


def _known_zip(order: ReadOptions, status: os.stat_result) -> Bundle | None:
    facts = file_cache.load_facts(order.cache, "bundles", status) or {}
    archive = archive_from_dict(facts.get("archive"), order.path)
    data, file, warnings = (facts.get(key) for key in ("descriptor", "file", "warnings"))
    if not (archive and isinstance(data, str) and isinstance(file, str) and isinstance(warnings, list)):
        return None
    found = _described(order, status, data.encode("latin-1", "replace"), file)
    return _bundle(order, found, archive, warnings)


def _new_zip(order: ReadOptions, status: os.stat_result) -> Bundle:
    from localrun.bundle.zip import open_zip

    with open_zip(order.path) as archived:
        parts = _checked(order.path, select_parts(archived.names, with_image=not order.image))
        data = archived.read(parts.descriptor)
        if order.image:
            found = _described(order, status, data, parts.descriptor)
            return _bundle(order, found, ImageReference(order.image), parts.warnings)
        packed = archived.span(parts.image)
        if archived.is_streamed(parts.image):
            parts.warnings.append(
                f"App Engine would refuse {parts.image!r}: it is stored with its size behind it"
            )
    found, archive = _both(
        lambda: _described(order, status, data, parts.descriptor),
        lambda: _inspect(packed, parts.image),
        cheap=_is_cheap(packed),
    )
    facts = {"file": parts.descriptor, "descriptor": data.decode("latin-1"), "warnings": parts.warnings}
    file_cache.save_facts(order.cache, "bundles", status, {**facts, "archive": archive_to_dict(archive)})
    return _bundle(order, found, archive, parts.warnings)


def _folder(order: ReadOptions, folder: Path, descriptor: str = "") -> Bundle:
    names = [] if descriptor and order.image else list_files(folder)
    build = DOCKERFILE in names and not any(map(is_archive, names))
    parts = _checked(
        folder, select_parts(names, descriptor=descriptor, with_image=not order.image and not build)
    )
    file = folder / parts.descriptor
    status = file.stat()
    data = read_descriptor(file)
    if not parts.image:
        source = _named(order) or ImageFolder(folder, DOCKERFILE, order.build_args)
        return _bundle(order, _described(order, status, data, str(file)), source, parts.warnings)
    if DOCKERFILE in names:
        parts.warnings.append(
            f"the Dockerfile is not used, because {parts.image} is there: remove one of them"
        )
    tar = folder / parts.image
    found, archive = _both(
        lambda: _described(order, status, data, str(file)), lambda: _inspect_file(tar, order.cache)
    )
    return _bundle(order, found, archive, parts.warnings)


def _named(order: ReadOptions) -> ImageReference | None:
    return ImageReference(order.image) if order.image else None


def _checked(path: Path, parts: Parts) -> Parts:
    if not parts.problems:
        return parts
    problems = [
        Problem(problem.path, problem.message, problem.remedy, file=str(path)) for problem in parts.problems
    ]
    raise BundleError(f"{path} is not a complete bundle", remedy="add what is missing", problems=problems)


def _described(order: ReadOptions, status: os.stat_result, data: bytes, file: str) -> Descriptor:
    """Read the descriptor; what was noted of its text saves the YAML reader, which is slow to import.

    `status` is that of the file which holds it: the zip's, or its own.
    """

    def parse(data: bytes, file: str) -> Document:
        known = yaml.deserialize(file_cache.load_facts(order.cache, "documents", status))
        if known is not None:
            return known
        found = yaml.read(data, file)
        facts = yaml.serialize(found)
        if facts is not None:
            file_cache.save_facts(order.cache, "documents", status, facts)
        return found

    return descriptors.read(data, file, parse)


def _both(
    describe: Callable[[], Descriptor], look: Callable[[], ImageArchive], *, cheap: bool = True
) -> tuple[Descriptor, ImageArchive]:
    """Read the descriptor and look into the archive; what is wrong with both is told together."""
    try:
        found = describe()
    except DescriptorError as error:
        if not cheap:
            raise
        raise _joined(error, look) from error
    return found, look()


def _joined(error: DescriptorError, look: Callable[[], ImageArchive]) -> DescriptorError:
    try:
        look()
    except ImageError as broken:
        more = [Problem("", broken.message, broken.remedy), *broken.problems]
        return DescriptorError(
            f"{error.message}, and so is the image archive",
            remedy=error.remedy,
            problems=[*error.problems, *more],
            **error.facts,
        )
    return error


def _is_cheap(packed: FileSpan) -> bool:
    return not packed.compression or packed.size <= CHEAP


def _inspect(packed: FileSpan, name: str) -> ImageArchive:
    from localrun.bundle.images.archive import inspect

    return inspect(packed, name)


def _inspect_file(tar: Path, cache: Path) -> ImageArchive:
    """Look into an archive, or remember what was found in this very file."""
    status = tar.stat()
    known = archive_from_dict(file_cache.load_facts(cache, "archives", status), tar)
    if known:
        return known
    found = _inspect(FileSpan(tar, 0, status.st_size), str(tar))
    file_cache.save_facts(cache, "archives", status, archive_to_dict(found))
    return found


def _bundle(order: ReadOptions, found: Descriptor, source: ImageSource, warnings: list[str]) -> Bundle:
    more = source.warnings if isinstance(source, ImageArchive) else ()
    every = (*map(str, found.warnings), *warnings, *more)
    return Bundle(str(order.path), order.path, found, source, _image_name(source), every)


def _image_name(source: ImageSource) -> str:
    if isinstance(source, ImageReference):
        return source.reference
    if isinstance(source, ImageFolder):
        return f"{source.folder.resolve().name}/{source.dockerfile}"
    tags = source.images[0].tags
    return tags[0] if tags else source.name
