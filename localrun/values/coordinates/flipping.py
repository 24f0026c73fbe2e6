"""Warn about geometries whose y seems to count from the top of the image, as the rows of pixels do.

A flipped geometry still lies inside the image, so it is compared with a mask of the same size among the
outputs, with the image itself, and with the region of the image that the task was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from localrun.descriptor.types import Notes
from localrun.values.coordinates import orientation
from localrun.values.coordinates.drawing import draw
from localrun.values.coordinates.findings import Places
from localrun.values.coordinates.links import Picture
from localrun.values.coordinates.orientation import Verdict
from localrun.values.coordinates.pictures import low_resolution, read_bands
from localrun.values.coordinates.shapes import Outline, decode
from localrun.values.untrusted import UnsafePath

if TYPE_CHECKING:
    from localrun.values.coordinates.pictures import Band

_FEW = 4  # geometries are too few to compare with a region
_MAX_MASKS = 3

Opener = Callable[[str], BinaryIO]


class Sample(NamedTuple):
    """Geometries to compare with an image of `size` pixels; `total` of them belong to it."""

    picture: Picture
    size: tuple[int, int]
    masks: list[Picture]
    region: Mapping[str, Any] | None
    outlines: list[Outline]
    total: int


class _Evidence(NamedTuple):
    verdict: Verdict
    reason: str


def check(samples: list[Sample], images: int, opener: Opener, notes: Notes) -> None:
    """Warn if geometries fit only after flipping. `samples` are the first of `images` images."""
    flipped: list[tuple[Sample, str]] = []
    for sample in samples:
        found = list(_evidence(sample, opener))
        verdicts = {one.verdict for one in found}
        if "upright" in verdicts:
            return
        if "flipped" in verdicts:
            flipped.append((sample, next(one.reason for one in found if one.verdict == "flipped")))
    if flipped:
        notes.warn(_message(flipped, samples, images))


def _message(flipped: list[tuple[Sample, str]], samples: list[Sample], images: int) -> str:
    first, reason = flipped[0]
    places = Places()
    for sample, _ in flipped:
        places.add(sample.picture.place)
    where = "" if images == 1 else f" (on {places})"
    height = f"the height of {first.picture.place} is {first.size[1]} pixels"
    compared = []
    if len(first.outlines) < first.total:
        compared.append(f"{len(first.outlines)} of {first.total} geometries")
    if len(samples) < images:
        compared.append(f"{len(samples)} of {images} images")
    sampled = f" (compared {' and '.join(compared)})" if compared else ""
    return (
        f"y seems to be counted from the top{where}: {reason}{sampled}; the origin of geometries is the"
        f" bottom left of the image: write y = height - y ({height})"
    )


def _evidence(sample: Sample, opener: Opener) -> Iterator[_Evidence]:
    """Yield what each image says about the geometries, the clearest first."""
    yield from _image_evidence(sample, opener)
    if sample.region is not None:
        found = _region_evidence(sample, sample.region)
        if found is not None:
            yield found


def _image_evidence(sample: Sample, opener: Opener) -> Iterator[_Evidence]:
    drawn = draw(sample.outlines, sample.size, low_resolution(*sample.size))
    masks = [mask for mask in sample.masks if mask != sample.picture][:_MAX_MASKS]
    for picture in (*masks, sample.picture):
        bands = _bands(picture, sample.size, opener)
        fit = orientation.measure(drawn, bands) if bands else None
        if fit is None or bands is None:
            continue
        reason = f"the geometries fit {picture.place} only after flipping y"
        if picture != sample.picture and len(bands) == 1 and fit.verdict == "flipped":
            before, after = orientation.shares_on_objects(drawn, bands[0])
            mask = f"the objects of {picture.place}"
            reason = f"{before:.0%} of their area is on {mask}, {after:.0%} after flipping y"
        yield _Evidence(fit.verdict, reason)


def _bands(picture: Picture, size: tuple[int, int], opener: Opener) -> list[Band] | None:
    try:
        with closing(opener(picture.path)) as file:
            return read_bands(file, size)
    except (OSError, UnsafePath):
        return None


def _region_evidence(sample: Sample, region: Mapping[str, Any]) -> _Evidence | None:
    """Compare the centers of geometries with the region that the task was asked to look at."""
    import numpy as np
    import shapely
    import shapely.geometry

    geometry = decode(dict(region))
    lines = [line for one in sample.outlines for line, is_hole in one.lines if not is_hole]
    if not geometry.is_area or geometry.radius or len(lines) <= _FEW:
        return None
    shape = shapely.geometry.shape({"type": geometry.kind, "coordinates": geometry.coordinates})
    centers = np.array([np.frombuffer(line).reshape(-1, 2).mean(axis=0) for line in lines])
    inside = float(shapely.contains_xy(shape, centers[:, 0], centers[:, 1]).mean())
    after = float(shapely.contains_xy(shape, centers[:, 0], sample.size[1] - centers[:, 1]).mean())
    reason = (
        f"{inside:.0%} of the geometries are inside the region of {sample.picture.place}, "
        f"{after:.0%} after flipping y"
    )
    if after >= 0.95 and inside <= 0.7:
        return _Evidence("flipped", reason)
    return _Evidence("upright" if inside >= 0.95 and after <= 0.7 else "unknown", reason)
