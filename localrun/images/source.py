"""Where a bundle's image comes from: an archive, a folder with a Dockerfile, or a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localrun.images.packed import Packed


@dataclass(frozen=True, slots=True)
class ArchivedImage:
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


@dataclass(frozen=True, slots=True)
class ImageArchive:
    """An archive that was looked into: one image, or the same one for several platforms."""

    name: str
    packed: Packed
    images: tuple[ArchivedImage, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """A folder to build: its Dockerfile, and values for the Dockerfile's `ARG`s."""

    folder: Path
    dockerfile: str = "Dockerfile"
    build_args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image that the engine has, or can pull, by name, digest or id."""

    reference: str


ImageSource = ImageArchive | ImageFolder | ImageReference
