"""Inspect an image archive: find its images, or report what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from localrun.bundle.images.archive_index import ArchiveIndex, read_index
from localrun.bundle.images.compressed import CorruptArchive, FileSpan
from localrun.bundle.images.manifest import DOCKER_MANIFEST, OCI_INDEX, Catalogue, list_images
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.errors import ImageError, Problem

SAVE_AGAIN = "save the image again: docker save -o image.tar IMAGE"
# fmt: off
_ROOT_FOLDERS = frozenset((
    "bin", "dev", "etc", "home", "lib", "lib64", "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp",
    "usr", "var",
))
# fmt: on


def inspect(span: FileSpan, name: str) -> ImageArchive:
    """Find the images in an archive in one pass over its headers; `name` is used in messages.

    Raises `ImageError` with the actual content if it is not an image archive, or with all problems.
    """
    try:
        span = span.with_detected_gzip()
        contents = read_index(span)
    except CorruptArchive as error:
        raise ImageError(f"cannot read {name}: {error}", remedy=SAVE_AGAIN, archive=name) from error
    found = list_images(contents)
    if not found.images:
        raise _broken(name, contents, found)
    images = tuple(found.images.values())
    _reject_different_images(name, images)
    return ImageArchive(name, span, images, tuple(_warnings(name, span, found.problems)))


def _warnings(name: str, span: FileSpan, problems: Iterable[Problem]) -> Iterable[str]:
    if span.compression[-1:] == ("gzip",) and name.endswith(".tar"):
        yield f"{name} is compressed with gzip; App Engine would refuse this: it wants a plain .tar"
    for problem in problems:
        yield f"{name}: {problem}"


def _reject_different_images(name: str, images: tuple[ArchivedImage, ...]) -> None:
    platforms = {image.platform for image in images}
    if len(platforms) < len(images):
        tags = ", ".join(" = ".join(image.tags) or image.id[:19] for image in images)
        message = f"{name} contains {len(images)} different images: {tags}"
        remedy = "save a single image: docker save -o image.tar IMAGE"
        raise ImageError(message, remedy=remedy, archive=name)


def _broken(name: str, contents: ArchiveIndex, found: Catalogue) -> ImageError:
    message = _actual_content(contents) if not found.problems else _defect(contents)
    if not contents.has_end_mark and not contents.is_cut_off:
        message += "; it has no end mark and may be truncated"
    problems = [replace(problem, file=name) for problem in found.problems]
    return ImageError(f"{name} {message}", remedy=SAVE_AGAIN, problems=problems, archive=name)


def _defect(contents: ArchiveIndex) -> str:
    files = {name for name, member in contents.members.items() if member.kind == "file"}
    if files <= {DOCKER_MANIFEST, OCI_INDEX, "oci-layout", "repositories"}:
        return "has the manifest of an image, but none of its parts"
    return "is a broken image archive"


def _actual_content(contents: ArchiveIndex) -> str:
    names = contents.members
    top_folders = {name.partition("/")[0] for name in names}
    if len(top_folders & _ROOT_FOLDERS) >= 3:
        return "is a root file system (as from docker export), not an image archive"
    if "repositories" in names:
        return "was saved by Docker before 1.10, in an unsupported format"
    if nested := [name for name in names if name.endswith(("/" + DOCKER_MANIFEST, "/" + OCI_INDEX))]:
        return f"is an image archive inside a folder: {nested[0]!r} must be at the root"
    if not names:
        return "is an empty tar"
    some = ", ".join(repr(name) for name in list(names)[:5])
    return f"is a tar but not an image archive: it has neither {DOCKER_MANIFEST} nor {OCI_INDEX}, only {some}"
