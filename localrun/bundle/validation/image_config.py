"""What an image is told to run, and as whom: from its configuration in an archive, or from an engine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from localrun.bundle.images.archive_index import ArchiveIndex, read_index
from localrun.bundle.images.build import image_tag
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
    """One image. `size` in bytes: its layers, as they lie in the archive or in the engine."""

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
        """`amd64`, `arm64`, ...; empty when the image does not say."""
        return self.platform.split("/")[1] if "/" in self.platform else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return self.entrypoint + self.command

    @property
    def search_path(self) -> list[str]:
        """Where a program without a folder is looked for."""
        found = [entry[5:] for entry in self.environment if entry.startswith("PATH=")]
        return (found[-1] if found else DEFAULT_PATH).split(":")

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        plain = asdict(self)
        return {
            **plain,
            **{key: list(plain[key]) for key in ("entrypoint", "command", "environment")},
        }


def from_archive(image: ArchivedImage, contents: ArchiveIndex, name: str) -> ImageConfig:
    """The portrait of an image in an archive; what its configuration says in a wrong form is left out."""
    try:
        config = json.loads(contents.documents[image.config]).get("config")
    except (KeyError, ValueError, AttributeError, RecursionError):
        config = None
    told = config if isinstance(config, dict) else {}
    return ImageConfig(
        id=image.id,
        name=image.tags[0] if image.tags else name,
        platform=image.platform,
        size=image.size,
        entrypoint=_texts(told.get("Entrypoint")),
        command=_texts(told.get("Cmd")),
        user=_text(told.get("User")),
        workdir=_text(told.get("WorkingDir")),
        environment=_texts(told.get("Env")),
    )


def from_engine(image: EngineImage, name: str) -> ImageConfig:
    """The portrait of an image that an engine has."""
    return ImageConfig(
        id=image.id,
        name=name,
        platform=f"{image.os}/{image.architecture}",
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


def from_bundle(bundle: Bundle, engine: Callable[[], Engine], cache: Path) -> ImageConfig | None:
    """The portrait of a bundle's image, without building or pulling it; None when it is not there.

    Raises `EngineError` when only an engine can tell, and none answers.
    """
    source = bundle.image
    if isinstance(source, ImageArchive):
        return from_archive(source.images[0], read_index(source.span), source.name)
    name = source.reference if isinstance(source, ImageReference) else image_tag(source, cache)
    found = engine().find_image(name)
    return from_engine(found, bundle.image_name) if found else None
