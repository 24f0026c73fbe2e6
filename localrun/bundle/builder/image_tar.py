"""Write one image as an archive that App Engine accepts. The same image gives the same bytes.

The format is that of `docker save` before Docker 25: `manifest.json` first, then the configuration, then the
layers as uncompressed tars in order. Names, times and owners are fixed. Attestations, other platforms and
other tags are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localrun.bundle.images import tar_writer
from localrun.bundle.images.compressed import CHUNK, ZSTD, CorruptArchive, FileSpan
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.bundle.images.tar_reader import BLOCK, TarReader
from localrun.engines.base import Progress
from localrun.errors import ImageError

PACKING = "packing the image"


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """One layer: location, uncompressed size, SHA-256, and the command that created it."""

    span: FileSpan
    size: int
    digest: str
    created_by: str = ""

    @property
    def name(self) -> str:
        return f"{self.digest}/layer.tar"


class ImageTar:
    """The archive of one image; only its documents are held in memory.

    `archive` must not be compressed as a whole. Raises `ImageError` if a layer is compressed with zstd.
    """

    def __init__(self, archive: ImageArchive, image: ArchivedImage, tag: str) -> None:
        assert not archive.span.compression, "decompress it first"
        self._archive = archive
        spans = _find_spans(archive.span, {image.config, *image.layers})
        self._config = b"".join(_bytes(spans[image.config]))
        config = json.loads(self._config)
        digests = [str(digest).removeprefix("sha256:") for digest in config["rootfs"]["diff_ids"]]
        creators = _creators(config, len(digests))
        self.layers = [
            self._layer(spans[name], digest, creator)
            for name, digest, creator in zip(image.layers, digests, creators, strict=True)
        ]
        self._name = f"{image.id.removeprefix('sha256:')}.json"
        entry = {"Config": self._name, "RepoTags": [tag], "Layers": [layer.name for layer in self.layers]}
        self._manifest = json.dumps([entry], separators=(",", ":")).encode()

    def _layer(self, span: FileSpan, digest: str, created_by: str) -> ImageLayer:
        detected = span.with_detected_gzip()
        with span.open() as reader:
            if reader.read(4) == ZSTD:
                message = f"{self._archive.name} has a layer that is compressed with zstd"
                remedy = "rebuild the image with gzip layers: docker build --output type=docker"
                raise ImageError(message, remedy=remedy)
        size = sum(map(len, _bytes(detected))) if detected.compression else detected.size
        return ImageLayer(detected, size, digest, created_by)

    @property
    def _unique_layers(self) -> list[ImageLayer]:
        return list({layer.digest: layer for layer in self.layers}.values())

    @property
    def size(self) -> int:
        """The size of the archive in bytes."""
        sizes = [len(self._manifest), len(self._config), *(layer.size for layer in self._unique_layers)]
        return sum(BLOCK + size + -size % BLOCK for size in sizes) + 2 * BLOCK

    def chunks(self, progress: Progress) -> Iterator[bytes]:
        """Yield the bytes of the archive. Raises `ImageError` if a layer does not match the configuration."""
        yield tar_writer.member("manifest.json", self._manifest)
        yield tar_writer.member(self._name, self._config)
        done, total = 0, self.size
        for layer in self._unique_layers:
            yield tar_writer.header(layer.name, layer.size)
            for chunk in self._checked(layer):
                done += len(chunk)
                progress(PACKING, done, total)
                yield chunk
            yield tar_writer.padding(layer.size)
        yield bytes(2 * BLOCK)

    def _checked(self, layer: ImageLayer) -> Iterator[bytes]:
        digest, count = hashlib.sha256(), 0
        try:
            for chunk in _bytes(layer.span):
                digest.update(chunk)
                count += len(chunk)
                yield chunk
        except CorruptArchive as error:
            message = f"cannot read {self._archive.name}: {error}"
            raise ImageError(message, remedy="save the image again") from error
        if digest.hexdigest() != layer.digest or count != layer.size:
            raise ImageError(
                f"a layer of {self._archive.name} is damaged: its SHA-256 is {digest.hexdigest()}, but the"
                f" configuration says {layer.digest}",
                remedy="rebuild or save the image again",
            )


def _find_spans(span: FileSpan, names: set[str]) -> dict[str, FileSpan]:
    """Locate members of an uncompressed archive."""
    found: dict[str, FileSpan] = {}
    with span.open() as reader:
        for member in TarReader(reader):
            if member.kind == "file" and member.name in names:
                found[member.name] = FileSpan(span.path, span.start + reader.position, member.size)
    return found


def _bytes(span: FileSpan) -> Iterator[bytes]:
    with span.open() as reader:
        while chunk := reader.read(CHUNK):
            yield chunk


def _creators(config: dict[str, Any], count: int) -> list[str]:
    """Return the command that created each layer, for display, if the history has it."""
    history = config.get("history")
    steps = [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
    steps = [step for step in steps if not step.get("empty_layer")]
    commands = [str(step.get("created_by") or step.get("comment") or "") for step in steps]
    return commands if len(commands) == count else [""] * count
