"""Rewrite an image archive to hold one image under localrun's own name, and nothing else.

The engine does not see other tags, annotations or images of the archive, so loading it cannot create or move
one of the user's tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from localrun.bundle.images import tar_writer
from localrun.bundle.images.compressed import CHUNK, CorruptArchive, Reader
from localrun.bundle.images.layer_digest import LayerDigest
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.bundle.images.tar_reader import BLOCK, Member, TarReader
from localrun.engines.base import Progress
from localrun.engines.labels import IMAGE_REPOSITORY
from localrun.errors import ImageError

LOADING = "loading image"


def local_name(image: ArchivedImage) -> str:
    """Return the name of an image that localrun loads into an engine."""
    return f"{IMAGE_REPOSITORY}:{image.id.removeprefix('sha256:')}"


def retag(
    archive: ImageArchive, image: ArchivedImage, progress: Progress, *, verify: bool = False
) -> Iterator[bytes]:
    """Stream a `docker save` archive of one image; `progress` is called for every chunk and may raise.

    `verify` compares the digests of the layers, for an engine that does not when it loads an image. Raises
    `ImageError` if the archive is damaged or has changed since it was inspected.
    """
    expected = dict(zip(image.layers, image.diff_ids, strict=False)) if verify else {}
    try:
        yield from _parts(archive, image, progress, expected | {image.config: image.id})
    except CorruptArchive as error:
        raise ImageError(
            f"cannot read {archive.name} to its end: {error}",
            remedy="the archive is damaged or has changed: save the image again",
            archive=archive.name,
        ) from error
    except _DamagedMember as error:
        is_config = error.args[0] == image.config
        what = "its configuration has changed" if is_config else f"the layer {error.args[0]!r} is damaged"
        raise ImageError(
            f"{archive.name}: {what}: {error.args[1]}",
            remedy="the archive is damaged or has changed: save the image again",
            archive=archive.name,
        ) from error


class _DamagedMember(Exception):
    """A member that is not what its digest says: its name, and how it differs."""


def _parts(
    archive: ImageArchive, image: ArchivedImage, progress: Progress, expected: Mapping[str, str]
) -> Iterator[bytes]:
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
            for chunk in _content(reader, member, expected.get(member.name, "")):
                done += len(chunk)
                progress(LOADING, done, image.size)
                yield chunk
            yield tar_writer.padding(member.size)
            if not names:
                break
    if names:
        raise CorruptArchive(f"{next(iter(names))!r} is missing")
    yield bytes(2 * BLOCK)


def _content(reader: Reader, member: Member, expected: str) -> Iterator[bytes]:
    """Yield the content of a member; compare the digest of its uncompressed content with the expected one."""
    left = member.size
    digest = LayerDigest() if expected else None
    while left:
        chunk = reader.read(min(CHUNK, left))
        if not chunk:
            raise CorruptArchive(f"it ends inside {member.name!r}")
        left -= len(chunk)
        if digest:
            digest.update(chunk)
        if not left and digest and (actual := digest.value()) not in ("", expected):
            raise _DamagedMember(member.name, f"its SHA-256 is {actual[7:]}, not {expected[7:]}")
        yield chunk
