"""Convert an inspected archive to JSON data and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import asdict

from localrun.bundle.images.compressed import FileSpan
from localrun.bundle.images.source import ArchivedImage, ImageArchive


def archive_to_dict(archive: ImageArchive) -> dict[str, Any]:
    """Return the result of an inspection as JSON data, without the path of the file."""
    span = archive.span
    return {
        "name": archive.name,
        "packed": [span.start, span.size, list(span.compression)],
        "images": [asdict(image) for image in archive.images],
        "warnings": list(archive.warnings),
    }


def archive_from_dict(facts: Any, path: Path) -> ImageArchive | None:
    """Return the archive, or None if `facts` does not come from `archive_to_dict`."""
    try:
        start, size, compression = facts["packed"]
        span = FileSpan(path, int(start), int(size), tuple(compression))
        images = msgspec.convert(facts["images"], tuple[ArchivedImage, ...])
        archive = ImageArchive(str(facts["name"]), span, images, tuple(facts["warnings"]))
    except (KeyError, TypeError, ValueError, msgspec.ValidationError):
        return None
    return archive if images else None
