"""An inspected archive as plain JSON facts, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from localrun.bundle.images.compressed import FileSpan
from localrun.bundle.images.source import ArchivedImage, ImageArchive


def archive_to_dict(archive: ImageArchive) -> dict[str, Any]:
    """Say all that inspecting the archive has found, except for where the file lies."""
    packed = archive.span
    return {
        "name": archive.name,
        "packed": [packed.start, packed.size, list(packed.compression)],
        "images": [asdict(image) for image in archive.images],
        "warnings": list(archive.warnings),
    }


def archive_from_dict(facts: Any, path: Path) -> ImageArchive | None:
    """Give the archive back; None when the facts are not what `as_facts` makes."""
    try:
        start, size, packing = facts["packed"]
        packed = FileSpan(path, int(start), int(size), tuple(packing))
        images = tuple(_image(item) for item in facts["images"])
        archive = ImageArchive(str(facts["name"]), packed, images, tuple(facts["warnings"]))
    except (KeyError, TypeError, ValueError):
        return None
    return archive if images else None


def _image(item: dict[str, Any]) -> ArchivedImage:
    lists = {name: tuple(item[name]) for name in ("layers", "tags")}
    return ArchivedImage(**{**item, **lists})
