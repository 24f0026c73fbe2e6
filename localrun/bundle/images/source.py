"""The source of a bundle's image: an archive, a folder with a Dockerfile, or a reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from localrun.bundle.images.compressed import FileSpan
from localrun.engines.architectures import Platform, platform_of
from localrun.engines.base import BuildSecret


class ArchivedImage(msgspec.Struct, frozen=True):
    """One image inside an archive.

    `id` is the SHA-256 of its configuration, which includes the digests of all layers. `config` and `layers`
    are members of the archive, `size` is their sum in bytes. `zstd`: a layer is compressed with zstd.
    `manifests` are the digests of the image's manifest and of the indexes that list it, by which engines with
    containerd's image store know it. `content` identifies it in any engine, see `image_content`. `diff_ids`
    are the digests of its uncompressed layers.
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
    manifests: tuple[str, ...] = ()
    content: str = ""
    diff_ids: tuple[str, ...] = ()

    @property
    def platform(self) -> str:
        """The known parts of the platform, e.g. `linux/arm64/v8`."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @property
    def normal_platform(self) -> Platform:
        """The platform with the usual names of its parts, e.g. `linux/arm64`."""
        return platform_of(self.os, self.architecture, self.variant)


class ImageArchive(msgspec.Struct, frozen=True):
    """An inspected archive: one image, or one image for multiple platforms."""

    name: str
    span: FileSpan
    images: tuple[ArchivedImage, ...]
    warnings: tuple[str, ...] = ()


class ImageFolder(msgspec.Struct, frozen=True):
    """A folder to build: the context, its Dockerfile, and the options of the build, as in `BuildRequest`.

    `lost_secrets` are the ids of secrets that the build had when the task was submitted. They are not stored,
    so a process that resumes or repeats the task does not have them.
    """

    folder: Path
    dockerfile: str = "Dockerfile"
    build_args: Mapping[str, str] = msgspec.field(default_factory=dict)
    target: str = ""
    secrets: tuple[BuildSecret, ...] = ()
    contexts: Mapping[str, str] = msgspec.field(default_factory=dict)
    lost_secrets: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()  # paths of the folder that a task mounts: their changes need no build

    def is_mounted(self, path: str) -> bool:
        """Return whether a path of the folder is one that a task mounts, or below it."""
        return any(one in (".", path) or path.startswith(f"{one}/") for one in self.mounted)


class ImageReference(msgspec.Struct, frozen=True):
    """An image in the engine or a registry, by name, digest or id."""

    reference: str


ImageSource = ImageArchive | ImageFolder | ImageReference
