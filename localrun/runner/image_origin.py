"""How an engine got an image that it did not have."""

from __future__ import annotations

from localrun.bundle.images.source import ImageArchive, ImageFolder, ImageSource
from localrun.task.record import ImageOrigin


def image_origin(source: ImageSource) -> ImageOrigin:
    """Return how the engine got an image that it did not have."""
    if isinstance(source, ImageArchive):
        return "loaded"
    return "built" if isinstance(source, ImageFolder) else "pulled"
