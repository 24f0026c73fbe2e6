"""Rewrite an image archive to hold one image under localrun's own name, and nothing else.

The engine does not see other tags, annotations or images of the archive, so loading it cannot create or move
one of the user's tags.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from localrun.bundle.images import tar_writer
from localrun.bundle.images.compressed import CHUNK, CorruptArchive, Reader
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.bundle.images.tar_reader import BLOCK, Member, TarReader
from localrun.engines.base import Progress
from localrun.engines.labels import IMAGE_REPOSITORY
from localrun.errors import ImageError

LOADING = "loading image"


def local_name(image: ArchivedImage) -> str:
    """Return the name of an image that localrun loads into an engine."""
    return f"{IMAGE_REPOSITORY}:{image.id.removeprefix('sha256:')}"


def retag(archive: ImageArchive, image: ArchivedImage, progress: Progress) -> Iterator[bytes]:
    """Stream a `docker save` archive of one image; `progress` is called for every chunk and may raise.

    Raises `ImageError` if the archive is damaged or has changed since it was inspected.
    """
    try:
        yield from _parts(archive, image, progress)
    except CorruptArchive as error:
        raise ImageError(
            f"cannot read {archive.name} to its end: {error}",
            remedy="the archive is damaged or has changed: save the image again",
            archive=archive.name,
        ) from error


def _parts(archive: ImageArchive, image: ArchivedImage, progress: Progress) -> Iterator[bytes]:
    # new names, because those of the archive are untrusted
    names = {layer: f"{number}.tar" for number, layer in enumerate(dict.fromkeys(image.layers))}
    names[image.config] = f"{image.id.removeprefix('sha256:')}.json"
    layers = [names[layer] for layer in image.layers]
    entry = {"Config": names[image.config], "RepoTags": [local_name(image)], "Layers": layers}
    done = 0
    progress(LOADING, 0, image.size)
    yield tar_writer.member("manifest.json", json.dumps([entry]).encode())
    with archive.span.open() as reader:
        for member in TarReader(reader):
            if member.kind != "file" or member.name not in names:
                continue
            yield tar_writer.header(names.pop(member.name), member.size)
            for chunk in _content(reader, member, image):
                done += len(chunk)
                progress(LOADING, done, image.size)
                yield chunk
            yield tar_writer.padding(member.size)
            if not names:
                break
    if names:
        raise CorruptArchive(f"{next(iter(names))!r} is missing")
    yield bytes(2 * BLOCK)


def _content(reader: Reader, member: Member, image: ArchivedImage) -> Iterator[bytes]:
    left = member.size
    hashed = hashlib.sha256() if member.name == image.config else None
    while left:
        chunk = reader.read(min(CHUNK, left))
        if not chunk:
            raise CorruptArchive(f"it ends inside {member.name!r}")
        left -= len(chunk)
        if hashed:
            hashed.update(chunk)
        yield chunk
    if hashed and f"sha256:{hashed.hexdigest()}" != image.id:
        raise CorruptArchive("its configuration has changed")
