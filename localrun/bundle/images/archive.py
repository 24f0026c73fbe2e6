"""Look into an image archive before anything starts: which image it is, or what exactly is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable

from localrun.bundle.images.archive_index import ArchiveIndex, read_index
from localrun.bundle.images.compressed import CorruptArchive, FileSpan
from localrun.bundle.images.manifest import DOCKER_MANIFEST, OCI_INDEX, Catalogue, list_images
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.errors import ImageError, Problem

SAVE_AGAIN = "save the image again: docker save -o image.tar IMAGE"
_ROOT = frozenset(
    [
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib64",
        "opt",
        "proc",
        "root",
        "run",
        "sbin",
        "srv",
        "sys",
        "tmp",
        "usr",
        "var",
    ]
)


def inspect(packed: FileSpan, name: str) -> ImageArchive:
    """Find the images inside an archive, in one pass over its headers.

    `name` is what people call it. Raises `ImageError` that says what the archive is instead of an image
    archive, or lists all that is wrong in it.
    """
    try:
        packed = packed.with_detected_gzip()
        contents = read_index(packed)
    except CorruptArchive as error:
        raise ImageError(f"{name} cannot be read: {error}", remedy=SAVE_AGAIN, archive=name) from error
    found = list_images(contents)
    if not found.images:
        raise _broken(name, contents, found)
    images = tuple(found.images.values())
    _refuse_several(name, images)
    return ImageArchive(name, packed, images, tuple(_warnings(name, packed, found.problems)))


def _warnings(name: str, packed: FileSpan, problems: Iterable[Problem]) -> Iterable[str]:
    if packed.compression[-1:] == ("gzip",):
        yield f"{name} is compressed with gzip; App Engine would refuse this: it wants a plain .tar"
    for problem in problems:
        yield f"{name}: {problem}"


def _refuse_several(name: str, images: tuple[ArchivedImage, ...]) -> None:
    platforms = {image.platform for image in images}
    if len(platforms) < len(images):
        tags = ", ".join(" = ".join(image.tags) or image.id[:19] for image in images)
        raise ImageError(
            f"{name} holds {len(images)} different images: {tags}",
            remedy="save one image only: docker save -o image.tar IMAGE",
            archive=name,
        )


def _broken(name: str, contents: ArchiveIndex, found: Catalogue) -> ImageError:
    message = _what_it_is(contents) if not found.problems else _what_lacks(contents)
    if not contents.has_end_mark:
        message += "; it has no end mark either, so it may be cut off"
    problems = [_placed(problem, name) for problem in found.problems]
    return ImageError(f"{name} {message}", remedy=SAVE_AGAIN, problems=problems, archive=name)


def _placed(problem: Problem, name: str) -> Problem:
    return Problem(problem.path, problem.message, problem.remedy, file=name)


def _what_lacks(contents: ArchiveIndex) -> str:
    files = {name for name, member in contents.members.items() if member.kind == "file"}
    if files <= {DOCKER_MANIFEST, OCI_INDEX, "oci-layout", "repositories"}:
        return "holds only the list of an image, and none of its parts"
    return "is a broken image archive"


def _what_it_is(contents: ArchiveIndex) -> str:
    names = contents.members
    tops = {name.partition("/")[0] for name in names}
    if len(tops & _ROOT) >= 3:
        return "is a root file system (docker export makes such), not an image archive"
    if "repositories" in names:
        return "was saved by a Docker before 1.10, whose format is no longer read"
    if folders := [name for name in names if name.endswith(("/" + DOCKER_MANIFEST, "/" + OCI_INDEX))]:
        return f"is an image archive inside a folder: {folders[0]!r} must be at the root"
    if not names:
        return "is an empty tar"
    some = ", ".join(repr(name) for name in list(names)[:5])
    return f"is a tar, but no image archive: it has neither {DOCKER_MANIFEST} nor {OCI_INDEX}, only {some}"
