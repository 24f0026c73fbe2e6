"""One image as an archive that App Engine takes, and that has the same bytes whenever the image is the same.

The form is that of `docker save` before Docker 25: `manifest.json` first, which names the image and its
parts; then the configuration; then the layers, as plain tars, in their order. Names, times and owners are
fixed; no attestation, no second platform, no other tag comes along.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localrun.bundle.images.compressed import CHUNK, CorruptArchive, FileSpan
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.bundle.images.tar_reader import BLOCK, TarReader
from localrun.engines.base import Progress
from localrun.errors import ImageError

PACKING = "packing the image"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """One layer: where its bytes lie, their number once unpacked, their SHA-256, and what made it."""

    span: FileSpan
    size: int
    digest: str
    created_by: str = ""

    @property
    def name(self) -> str:
        """Its place in the archive."""
        return f"{self.digest}/layer.tar"


class ImageTar:
    """The archive of one image; nothing of it is held in memory but its documents.

    `archive` is not compressed as a whole. Raises `ImageError` for one that cannot be packed so.
    """

    def __init__(self, archive: ImageArchive, image: ArchivedImage, tag: str) -> None:
        assert not archive.span.compression, "spool it first"
        self._archive = archive
        places = _places(archive.span, {image.config, *image.layers})
        self._config = _whole(places[image.config])
        described = json.loads(self._config)
        digests = [str(digest).removeprefix("sha256:") for digest in described["rootfs"]["diff_ids"]]
        makers = _makers(described, len(digests))
        self.layers = [
            self._layer(places[name], digest, maker)
            for name, digest, maker in zip(image.layers, digests, makers, strict=True)
        ]
        self._name = f"{image.id.removeprefix('sha256:')}.json"
        manifest = [
            {"Config": self._name, "RepoTags": [tag], "Layers": [layer.name for layer in self.layers]}
        ]
        self._manifest = json.dumps(manifest, separators=(",", ":")).encode()

    def _layer(self, place: FileSpan, digest: str, maker: str) -> ImageLayer:
        settled = place.with_detected_gzip()
        with place.open() as reader:
            if reader.read(4) == _ZSTD:
                raise ImageError(
                    f"{self._archive.name} holds a layer that is compressed with zstd",
                    remedy="build the image again with gzip layers: docker build --output type=docker",
                )
        return ImageLayer(settled, _size(settled), digest, maker)

    @property
    def _once(self) -> list[ImageLayer]:
        """Every layer once, also when the image has an equal one again."""
        return list({layer.digest: layer for layer in self.layers}.values())

    @property
    def size(self) -> int:
        """The bytes of the archive."""
        sizes = [len(self._manifest), len(self._config), *(layer.size for layer in self._once)]
        return sum(BLOCK + size + -size % BLOCK for size in sizes) + 2 * BLOCK

    def chunks(self, progress: Progress) -> Iterator[bytes]:
        """The archive's bytes. Raises `ImageError` for a layer that the configuration does not name."""
        yield from _document("manifest.json", self._manifest)
        yield from _document(self._name, self._config)
        done, total = 0, self.size
        for layer in self._once:
            yield _head(layer.name, layer.size)
            for chunk in self._checked(layer):
                done += len(chunk)
                progress(PACKING, done, total)
                yield chunk
            yield bytes(-layer.size % BLOCK)
        yield bytes(2 * BLOCK)

    def _checked(self, layer: ImageLayer) -> Iterator[bytes]:
        digest, count = hashlib.sha256(), 0
        try:
            for chunk in _bytes(layer.span):
                digest.update(chunk)
                count += len(chunk)
                yield chunk
        except CorruptArchive as error:
            raise ImageError(
                f"{self._archive.name} cannot be read: {error}", remedy="save it again"
            ) from error
        if digest.hexdigest() != layer.digest or count != layer.size:
            raise ImageError(
                f"a layer of {self._archive.name} is damaged: its SHA-256 is {digest.hexdigest()}, and the"
                f" image's configuration says {layer.digest}",
                remedy="build or save the image again",
            )


def _places(packed: FileSpan, names: set[str]) -> dict[str, FileSpan]:
    """Where the named members of a plain archive lie."""
    found: dict[str, FileSpan] = {}
    with packed.open() as reader:
        for member in TarReader(reader):
            if member.kind == "file" and member.name in names:
                found[member.name] = FileSpan(packed.path, packed.start + reader.position, member.size)
    return found


def _bytes(packed: FileSpan) -> Iterator[bytes]:
    with packed.open() as reader:
        while chunk := reader.read(CHUNK):
            yield chunk


def _whole(packed: FileSpan) -> bytes:
    return b"".join(_bytes(packed))


def _size(packed: FileSpan) -> int:
    """The bytes once unpacked, which only unpacking tells."""
    return sum(map(len, _bytes(packed))) if packed.compression else packed.size


def _makers(config: dict[str, Any], count: int) -> list[str]:
    """What made each layer, if the history tells; it is for people only."""
    history = config.get("history")
    steps = [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
    said = [
        str(step.get("created_by") or step.get("comment") or "")
        for step in steps
        if not step.get("empty_layer")
    ]
    return said if len(said) == count else [""] * count


def _document(name: str, data: bytes) -> Iterator[bytes]:
    yield _head(name, len(data)) + data + bytes(-len(data) % BLOCK)


def _head(name: str, size: int) -> bytes:
    header = tarfile.TarInfo(name)  # time 0, owner 0, mode 0644
    header.size = size
    return header.tobuf(tarfile.GNU_FORMAT)
