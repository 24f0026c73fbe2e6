"""Pixels of any kind as 8 bits per channel, and images of them in PNG or JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from localrun.values.rasters.raster import Area, Raster, Size

if TYPE_CHECKING:
    from PIL.Image import Image

    from localrun.values.rasters.raster import Pixels

TILE = 512  # pixels of a side
_OVERVIEW = 512
_FEW_VALUES = 32  # of an image of 8 bits that would look black, such as a mask of 0 and 1
_QUALITY = 88


class ValueRange(NamedTuple):
    """The values that are shown as black and white, and where they come from."""

    low: float
    high: float
    source: Literal["data", "window", "request"]


@dataclass(frozen=True, slots=True)
class Level:
    """A resolution to view an image in: its size, and its number of tiles."""

    level: int
    width: int
    height: int

    @property
    def scale(self) -> int:
        return 1 << self.level

    @property
    def columns(self) -> int:
        return -(-self.width // TILE)

    @property
    def rows(self) -> int:
        return -(-self.height // TILE)

    def area(self, column: int, row: int, size: Size) -> Area:
        """Return the pixels of the full resolution, of `size`, that a tile shows."""
        side = TILE * self.scale
        left, top = column * side, row * side
        return Area(left, top, min(left + side, size[0]), min(top + side, size[1]))

    def tile_size(self, column: int, row: int) -> Size:
        return min(TILE, self.width - column * TILE), min(TILE, self.height - row * TILE)


def levels_of(raster: Raster) -> list[Level]:
    """Return the levels that can be viewed, each half the size of the one before."""
    from localrun.values.rasters.raster import MAX_READ

    found: list[Level] = []
    while True:
        number = len(found)
        level = Level(number, *(max(1, -(-side // (1 << number))) for side in raster.size))
        first = level.area(0, 0, raster.size)
        if found and raster.cost(first, level.tile_size(0, 0)) > MAX_READ:
            return found
        found.append(level)
        if level.columns == level.rows == 1:
            return found


def overview_size(size: Size, limit: int) -> Size:
    """Return the size of a view of a whole image, with at most `limit` pixels per side."""
    scale = min(1.0, limit / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def find_range(raster: Raster) -> ValueRange | None:
    """Return the values to show as black and white; None for all values of 8 bits.

    Reads the whole image at a low resolution, or the center of one that is too large for that. Raises
    `UnreadableImage`.
    """
    import numpy as np

    if raster.window is not None:
        return ValueRange(*raster.window, "window")
    area, size = _sample_of(raster)
    pixels = raster.read(area, size)
    if pixels.dtype == np.uint8 and (raster.color != "gray" or raster.is_lossy):
        return None
    values = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    if not values.size:
        return ValueRange(0.0, 1.0, "data")
    low, high = float(values.min()), float(values.max())
    if pixels.dtype == np.uint8 and (high >= _FEW_VALUES or high == low):
        return None
    return ValueRange(low, high, "data")


def _sample_of(raster: Raster) -> tuple[Area, Size]:
    from localrun.values.rasters.raster import MAX_READ

    width, height = raster.size
    whole, size = Area(0, 0, width, height), overview_size(raster.size, _OVERVIEW)
    if raster.cost(whole, size) <= MAX_READ:
        return whole, size
    left, top = max(0, (width - _OVERVIEW) // 2), max(0, (height - _OVERVIEW) // 2)
    part = Area(left, top, min(width, left + _OVERVIEW), min(height, top + _OVERVIEW))
    return part, part.size


def render(raster: Raster, area: Area, size: Size, shown: ValueRange | None) -> Image:
    """Return a view of an area with this size. Raises `UnreadableImage`."""
    from PIL import Image

    pixels = to_8_bits(raster.read(area, size), shown)
    if raster.is_inverted:
        pixels = 255 - pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return image if image.size == size else image.resize(size, Image.Resampling.BOX)


def to_8_bits(pixels: Pixels, shown: ValueRange | None) -> Pixels:
    """Return pixels scaled from a range of values to 0 to 255. What is not a number is black."""
    import numpy as np

    if shown is None and pixels.dtype == np.uint8:
        return pixels
    if shown is None:
        shown = ValueRange(float(np.nanmin(pixels)), float(np.nanmax(pixels)), "data")
    span = shown.high - shown.low or 1.0
    scaled = (np.nan_to_num(pixels.astype(np.float32)) - shown.low) * (255 / span)
    return (scaled + 0.5).clip(0, 255).astype(np.uint8)


def encode(image: Image, *, is_lossy: bool) -> tuple[bytes, str]:
    """Return an image as a file, and its media type: JPEG for photographs, else PNG."""
    stream = io.BytesIO()
    if is_lossy and image.mode in ("L", "RGB"):
        image.save(stream, "JPEG", quality=_QUALITY)
        return stream.getvalue(), "image/jpeg"
    image.save(stream, "PNG", compress_level=3)
    return stream.getvalue(), "image/png"
