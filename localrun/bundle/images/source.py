"""Where a bundle's image comes from: an archive, a folder with a Dockerfile, or a name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from localrun.bundle.images.compressed import FileSpan


class ArchivedImage(msgspec.Struct, frozen=True):
    """One image inside an archive.

    `id` is the SHA-256 of its configuration's bytes, which binds every layer. `config` and `layers` are
    members of the archive, `size` is their sum in bytes. `zstd`: some layer is compressed that way.
    """

    id: str
    os: str
    architecture: str
    variant: str
    config: str
    layers: tuple[str, ...]
    size: int
    tags: tuple[str, ...] = ()
    zstd: bool = False

    @property
    def platform(self) -> str:
        """`linux/arm64/v8`, as far as it is known."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class ImageArchive(msgspec.Struct, frozen=True):
    """An archive that was looked into: one image, or the same one for several platforms."""

    name: str
    span: FileSpan
    images: tuple[ArchivedImage, ...]
    warnings: tuple[str, ...] = ()


class ImageFolder(msgspec.Struct, frozen=True):
    """A folder to build: its Dockerfile, and values for the Dockerfile's `ARG`s."""

    folder: Path
    dockerfile: str = "Dockerfile"
    build_args: Mapping[str, str] = msgspec.field(default_factory=dict)


class ImageReference(msgspec.Struct, frozen=True):
    """An image that the engine has, or can pull, by name, digest or id."""

    reference: str


ImageSource = ImageArchive | ImageFolder | ImageReference
