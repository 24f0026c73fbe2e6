"""The regions next to image inputs, for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from localrun.task.record import Crop, TaskRecord
from localrun.units import format_count


def region_rows(record: TaskRecord) -> Iterator[str]:
    """Yield a line for each region, such as `image: Polygon from (0, 0) to (8, 6)`."""
    if not record.regions:
        return
    from localrun.values.crop import positions

    for place, geometry in record.regions.items():
        points = list(positions(geometry["coordinates"]))
        xs, ys = [point[0] for point in points], [point[1] for point in points]
        where = f"from ({min(xs):g}, {min(ys):g}) to ({max(xs):g}, {max(ys):g})"
        yield f"{place}: {geometry['type']} {where}{_crop(record.crops.get(place))}"


def _crop(crop: Crop | None) -> str:
    if crop is None:
        return ""
    (width, height), (x, y) = crop.size, crop.offset
    pixels = f"{width} x {format_count(height, 'pixel')}"
    return f"; cropped to {pixels} at ({x}, {y}) of {PurePath(crop.file).name}"
