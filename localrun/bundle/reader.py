"""Read a bundle: a zip, a folder, or a descriptor with the name of an image.

All problems in a bundle are reported together, before anything runs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from localrun import descriptor as descriptors
from localrun.bundle import lfs
from localrun.bundle.folder import list_files, read_descriptor
from localrun.bundle.images import file_cache
from localrun.bundle.images.build_options import NO_OPTIONS, FolderBuild
from localrun.bundle.images.compressed import FileSpan
from localrun.bundle.images.dockerfile_choice import DOCKERFILES, choose_build, how_to_build, unused_names
from localrun.bundle.images.serialization import archive_from_dict, archive_to_dict
from localrun.bundle.images.source import ImageArchive, ImageFolder, ImageReference, ImageSource
from localrun.bundle.parts import Parts, is_archive, select_parts
from localrun.bundle.tasks_below import no_descriptor
from localrun.descriptor import yaml
from localrun.errors import BundleError, DescriptorError, ImageError, Problem

if TYPE_CHECKING:
    from localrun.descriptor import Descriptor
    from localrun.descriptor.yaml import Document

__all__ = ["Bundle", "bundle_from_image", "read_bundle", "read_image"]

_CHEAP = 64 << 20  # bytes that are decompressed only to report one more problem
_DESCRIPTOR_SUFFIXES = (".yml", ".yaml")


class Bundle(msgspec.Struct, frozen=True):
    """A bundle that was read.

    `name` is what the user typed, `image_name` is for display. `warnings` name differences from other
    platforms.
    """

    name: str
    path: Path | None
    descriptor: Descriptor
    image: ImageSource
    image_name: str
    warnings: tuple[str, ...] = ()


def read_bundle(
    path: Path, *, image: str | None = None, cache: Path, build: FolderBuild = NO_OPTIONS
) -> Bundle:
    """Read a `.zip`, a folder with an image archive or a Dockerfile, or a descriptor.

    `image` names an image to use instead of the bundle's own, `build` has the options for a Dockerfile,
    `cache` is the folder for cached results. Raises `BundleError`, `DescriptorError` or `ImageError` with all
    problems.
    """
    options = _ReadOptions(path, image, cache, build)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return _read_folder(options, path)
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path} is neither a file nor a folder", remedy="pass a .zip or a folder")
        if path.suffix.lower() in _DESCRIPTOR_SUFFIXES:
            return _read_folder(options, path.parent, path.name)
        _check_zip_options(options)
        cached = None if options.image else _read_cached_zip(options, status)
        return cached or _read_zip(options, status)
    except FileNotFoundError as error:
        message = f"no such file or folder: {error.filename or path}"
        raise BundleError(message, remedy="check the name; a bundle is a .zip or a folder") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def read_image(path: Path, *, cache: Path, build: FolderBuild = NO_OPTIONS) -> ImageSource:
    """Return only the image of an archive, of a folder with an archive or a Dockerfile, or of a bundle.

    Reads no descriptor, except from a zip. Raises `BundleError` or `ImageError`.
    """
    try:
        if path.is_dir():
            return _read_image_folder(path, cache, build)
        if is_archive(path.name):
            return _inspect_file(path, cache)
    except FileNotFoundError:
        pass  # reported by `read_bundle`
    except OSError as error:
        raise _unreadable(path, error) from error
    return read_bundle(path, cache=cache, build=build).image


def _unreadable(path: Path, error: OSError) -> BundleError:
    message = f"cannot read {error.filename or path}: {error.strerror}"
    return BundleError(message, remedy="check its name and permissions")


def _read_image_folder(folder: Path, cache: Path, build: FolderBuild) -> ImageSource:
    names = list_files(folder)
    has_archive = any(map(is_archive, names))
    if source := choose_build(folder, names, build, archive=has_archive):
        return source
    if not has_archive:
        message = f"{folder} has neither a Dockerfile nor an image archive (.tar)"
        raise BundleError(message, remedy="add one, or pass another folder")
    return _inspect_file(folder / _check(folder, select_parts(names, descriptor="-")).image, cache)


def bundle_from_image(
    descriptor: Descriptor, path: Path | None, source: ImageSource, build: FolderBuild
) -> Bundle:
    """Combine an image with a descriptor that comes from elsewhere."""
    name = _image_name(source)
    warnings = tuple(_image_warnings(source, build))
    return Bundle(name if path is None else str(path), path, descriptor, source, name, warnings)


class _ReadOptions(NamedTuple):
    """The arguments of `read_bundle`."""

    path: Path
    image: str | None
    cache: Path
    build: FolderBuild


def _read_cached_zip(options: _ReadOptions, status: os.stat_result) -> Bundle | None:
    facts = file_cache.load_facts(options.cache, "bundles", status) or {}
    archive = archive_from_dict(facts.get("archive"), options.path)
    data, file, warnings = (facts.get(key) for key in ("descriptor", "file", "warnings"))
    if not (archive and isinstance(data, str) and isinstance(file, str) and isinstance(warnings, list)):
        return None
    descriptor = _parse_descriptor(options, status, data.encode("latin-1", "replace"), file)
    return _bundle(options, descriptor, archive, warnings)


def _check_zip_options(options: _ReadOptions) -> None:
    if options.build.dockerfile or options.build.context:
        raise BundleError(
            f"{options.path} is a zip, which is not built", remedy="pass its folder, or omit -f and --context"
        )


def _read_zip(options: _ReadOptions, status: os.stat_result) -> Bundle:
    from localrun.bundle.zip import open_zip

    with open_zip(options.path) as members:
        parts = _check(options.path, select_parts(members.names, with_image=not options.image))
        data = members.read(parts.descriptor)
        if options.image:
            descriptor = _parse_descriptor(options, status, data, parts.descriptor)
            return _bundle(options, descriptor, ImageReference(options.image), parts.warnings)
        span = members.span(parts.image)
        if members.is_streamed(parts.image):
            warning = f"App Engine would refuse {parts.image!r}: it is stored with its size behind it"
            parts.warnings.append(warning)
    descriptor, archive = _read_both(
        lambda: _parse_descriptor(options, status, data, parts.descriptor),
        lambda: _inspect(span, parts.image),
        cheap=not span.compression or span.size <= _CHEAP,
    )
    facts = {"file": parts.descriptor, "descriptor": data.decode("latin-1"), "warnings": parts.warnings}
    file_cache.save_facts(options.cache, "bundles", status, {**facts, "archive": archive_to_dict(archive)})
    return _bundle(options, descriptor, archive, parts.warnings)


def _read_folder(options: _ReadOptions, folder: Path, name: str = "") -> Bundle:
    names = [] if name and options.image else list_files(folder)
    built = None
    if not options.image:
        built = choose_build(folder, names, options.build, archive=any(map(is_archive, names)))
    selected = select_parts(names, descriptor=name, with_image=not options.image and not built)
    if not selected.descriptor and (error := no_descriptor(folder, names)):
        raise error
    if not selected.image and not name:
        _add_build_remedy(folder, selected)
    parts = _check(folder, selected)
    file = folder / parts.descriptor
    status = file.stat()
    data = read_descriptor(file)
    if not parts.image:
        source: ImageSource = built or ImageReference(options.image or "")
        if built:
            parts.warnings += _unused_files(names, built)
        return _bundle(options, _parse_descriptor(options, status, data, str(file)), source, parts.warnings)
    for dockerfile in [name for name in DOCKERFILES if name in names]:
        parts.warnings.append(f"the {dockerfile} is ignored because {parts.image} exists; remove one of them")
    descriptor, archive = _read_both(
        lambda: _parse_descriptor(options, status, data, str(file)),
        lambda: _inspect_file(folder / parts.image, options.cache),
    )
    return _bundle(options, descriptor, archive, parts.warnings)


def _add_build_remedy(folder: Path, parts: Parts) -> None:
    for number, problem in enumerate(parts.problems):
        if problem.message.startswith("there is no image archive"):
            parts.problems[number] = replace(problem, remedy=f"{how_to_build(folder)}; or {problem.remedy}")


def _unused_files(names: list[str], built: ImageFolder) -> list[str]:
    """Return warnings about files of a folder that is built, but not from these."""
    archives = [name for name in names if is_archive(name)]
    warnings = [f"the image archive {name} is ignored because the image is built" for name in archives]
    if built.dockerfile in names:
        others = unused_names(names)
        warnings += [f"{name} is ignored because {built.dockerfile} exists" for name in others]
    return warnings


def _check(path: Path, parts: Parts) -> Parts:
    if not parts.problems:
        return parts
    problems = [replace(problem, file=str(path)) for problem in parts.problems]
    raise BundleError(f"{path} is not a complete bundle", remedy="fix the problems listed", problems=problems)


def _parse_descriptor(options: _ReadOptions, status: os.stat_result, data: bytes, file: str) -> Descriptor:
    """Parse the descriptor; a cached document avoids the slow import of the YAML parser.

    `status` is that of the file that holds the descriptor: the zip, or the descriptor itself.
    """

    def parse(data: bytes, file: str) -> Document:
        cached = yaml.deserialize(file_cache.load_facts(options.cache, "documents", status))
        if cached is not None:
            return cached
        document = yaml.read(data, file)
        facts = yaml.serialize(document)
        if facts is not None:
            file_cache.save_facts(options.cache, "documents", status, facts)
        return document

    return descriptors.read(data, file, parse)


def _read_both(
    describe: Callable[[], Descriptor], inspect: Callable[[], ImageArchive], *, cheap: bool = True
) -> tuple[Descriptor, ImageArchive]:
    """Read the descriptor and the image archive; report the problems of both together."""
    try:
        descriptor = describe()
    except DescriptorError as error:
        if not cheap:
            raise
        raise _with_image_problems(error, inspect) from error
    return descriptor, inspect()


def _with_image_problems(error: DescriptorError, inspect: Callable[[], ImageArchive]) -> DescriptorError:
    try:
        inspect()
    except ImageError as broken:
        more = [Problem("", broken.message, broken.remedy), *broken.problems]
        problems = [*error.problems, *more]
        message = f"{error.message}, and so is the image archive"
        both = DescriptorError(message, remedy=error.remedy, problems=problems, **error.facts)
        both.warnings = error.warnings
        return both
    return error


def _inspect(span: FileSpan, name: str) -> ImageArchive:
    from localrun.bundle.images.archive import inspect

    return inspect(span, name)


def _inspect_file(tar: Path, cache: Path) -> ImageArchive:
    """Inspect an archive, or return the cached result for an unchanged file."""
    status = tar.stat()
    cached = archive_from_dict(file_cache.load_facts(cache, "archives", status), tar)
    if cached:
        return cached
    if lfs.is_pointer(tar):
        message = f"{tar} is a Git LFS pointer, not an image archive"
        raise ImageError(message, remedy=lfs.REMEDY, archive=str(tar))
    archive = _inspect(FileSpan(tar, 0, status.st_size), str(tar))
    file_cache.save_facts(cache, "archives", status, archive_to_dict(archive))
    return archive


def _bundle(
    options: _ReadOptions, descriptor: Descriptor, source: ImageSource, warnings: list[str]
) -> Bundle:
    warnings = [*map(str, descriptor.warnings), *warnings, *_image_warnings(source, options.build)]
    return Bundle(str(options.path), options.path, descriptor, source, _image_name(source), tuple(warnings))


def _image_warnings(source: ImageSource, build: FolderBuild) -> Iterator[str]:
    """Yield the warnings of an archive, and one for the options of a build that does not take place."""
    if isinstance(source, ImageArchive):
        yield from source.warnings
    if not isinstance(source, ImageFolder) and (unused := build.used_options):
        names = f"{' and '.join(unused)} {'is' if len(unused) == 1 else 'are'} ignored"
        yield f"{names}: the image {_image_name(source)} is not built"


def _image_name(source: ImageSource) -> str:
    if isinstance(source, ImageReference):
        return source.reference
    if isinstance(source, ImageFolder):
        return f"{source.folder.resolve().name}/{source.dockerfile}"
    tags = source.images[0].tags
    return tags[0] if tags else source.name
