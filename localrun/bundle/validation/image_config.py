"""The configuration of an image (program, user, environment), from an archive or an engine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from localrun.bundle.images.archive_index import ArchiveIndex, read_index
from localrun.bundle.images.build import image_tag
from localrun.bundle.images.load import published_image
from localrun.bundle.images.source import ImageArchive, ImageReference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localrun.bundle.images.source import ArchivedImage
    from localrun.bundle.reader import Bundle
    from localrun.engines.base import Engine, EngineImage

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # PATH, when an image sets none


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The configuration of an image. `size` is that of its layers in the archive or engine, in bytes."""

    id: str
    name: str
    platform: str
    size: int
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    environment: tuple[str, ...] = ()

    @property
    def architecture(self) -> str:
        """`amd64`, `arm64`, ...; empty if unknown."""
        return self.platform.split("/")[1] if "/" in self.platform else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.entrypoint + self.command

    @property
    def search_path(self) -> list[str]:
        """The folders in which a program is searched by name."""
        found = [entry[5:] for entry in self.environment if entry.startswith("PATH=")]
        return (found[-1] if found else DEFAULT_PATH).split(":")

    def as_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        return fields | {key: list(fields[key]) for key in ("entrypoint", "command", "environment")}


def from_archive(image: ArchivedImage, contents: ArchiveIndex, name: str) -> ImageConfig:
    """Return the configuration of an image in an archive, without values of a wrong type."""
    try:
        config = json.loads(contents.documents[image.config]).get("config")
    except (KeyError, ValueError, AttributeError, RecursionError):
        config = None
    values = config if isinstance(config, dict) else {}
    return ImageConfig(
        id=image.id,
        name=image.tags[0] if image.tags else name,
        platform=image.platform,
        size=image.size,
        entrypoint=_texts(values.get("Entrypoint")),
        command=_texts(values.get("Cmd")),
        user=_text(values.get("User")),
        workdir=_text(values.get("WorkingDir")),
        environment=_texts(values.get("Env")),
    )


def from_engine(image: EngineImage, name: str) -> ImageConfig:
    """Return the configuration of an image in an engine."""
    return ImageConfig(
        id=image.id,
        name=name,
        platform=str(image.platform),
        size=image.size,
        entrypoint=image.entrypoint,
        command=image.command,
        user=image.user,
        workdir=image.workdir,
        environment=image.environment,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def from_bundle(
    bundle: Bundle, engine: Callable[[], Engine], cache: Path, platform: str = ""
) -> ImageConfig | None:
    """Return the configuration of a bundle's image without building or pulling it; None if it is missing.

    Raises `EngineError` if the image is not in an archive and no engine is available, and `ImageError` if an
    archive has none for `platform`.
    """
    source = bundle.image
    if isinstance(source, ImageArchive):
        return from_archive(published_image(source, platform), read_index(source.span), source.name)
    made = engine()
    if isinstance(source, ImageReference):
        found = made.find_image(source.reference, *([platform] if platform else []))
    else:
        found = made.find_image(image_tag(source, made, cache, platform=platform))
    return from_engine(found, bundle.image_name) if found else None
