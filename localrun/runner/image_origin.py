"""What a record says about an image: how the engine got it, and whether it must emulate its platform."""

from __future__ import annotations

from typing import Any

from localrun.bundle.images.source import ImageArchive, ImageFolder, ImageSource
from localrun.engines.base import EngineImage, EngineInfo
from localrun.task.record import ImageOrigin, RunPlan


def image_facts(image: EngineImage, plan: RunPlan, source: ImageSource | None) -> dict[str, Any]:
    """Return the fields of the record. `source` is None if the engine had the image."""
    command = image.command if plan.command is None else plan.command
    return {
        "image": image.id,
        "platform": str(image.platform),
        "image_from": "present" if source is None else _origin(source),
        "program": [*image.entrypoint, *command],
    }


def _origin(source: ImageSource) -> ImageOrigin:
    if isinstance(source, ImageArchive):
        return "loaded"
    return "built" if isinstance(source, ImageFolder) else "pulled"


def emulation_warning(image: EngineImage, info: EngineInfo) -> str:
    """Return the warning for an image whose programs this engine can only emulate; empty for others."""
    if info.platform.runs(image.platform):
        return ""
    return (
        f"the image is for {image.platform} and is emulated on this engine ({info.platform}): expect a much"
        " slower run, and times and memory that differ from a real machine"
    )
