"""Cut the bounding box of an annotation out of an image, as the platform does for its users.

GeoJSON counts y upwards from the bottom left corner, an image file counts rows down from the top. The crop
has the columns from floor(min x) to ceil(max x), and the rows from height - ceil(max y) to
height - floor(min y).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from localrun.descriptor.types import Image, Notes
from localrun.task.record import Crop
from localrun.units import format_bytes
from localrun.values.image_headers import magic
from localrun.values.image_headers.bounded_reader import CorruptFile, ImageHeader
from localrun.values.image_headers.checks import check_image, read_header

_MAX_DECODED = 2 * 1024**3  # bytes: Pillow decodes the whole image
_MAX_CHANNELS = 4
_FORMATS = ("png", "jpeg", "tiff")
_BY_HAND = "crop it yourself, and pass the crop with its region: -i NAME=@CROP -i NAME.geojson=@REGION"


class Box(NamedTuple):
    """A rectangle in the coordinates of GeoJSON: whole pixels, with y upwards."""

    left: int
    bottom: int
    right: int
    top: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.top - self.bottom

    @property
    def is_empty(self) -> bool:
        return self.right <= self.left or self.top <= self.bottom

    def rows(self, height: int) -> tuple[int, int, int, int]:
        """Return left, upper, right and lower as an image of this height counts them, from the top."""
        return self.left, height - self.top, self.right, height - self.bottom


class CroppedImage(msgspec.Struct, frozen=True):
    """The crop as a PNG file, and the annotation in its coordinates."""

    png: bytes
    region: dict[str, Any]
    crop: Crop


def crop_image(kind: Image, path: Path, geometry: dict[str, Any], notes: Notes) -> CroppedImage | None:
    """Crop an image to the bounding box of a geometry; None, and a problem, if that is impossible.

    A box that is partly outside is clipped, with a warning. Channels and bit depth are kept. The crop, not
    the whole image, must meet the limits of the type.
    """
    header = _header(path, notes)
    if header is None:
        return None
    width, height = header.width, header.height
    box = _clip(bounding_box(geometry), width, height, notes)
    png = None if box is None else _pixels(path, box, height, notes)
    if box is None or png is None:
        return None
    import io

    check_image(kind, io.BytesIO(png), len(png), notes)
    offset = (box.left, box.bottom)
    crop = Crop(file=str(path), geometry=geometry, offset=offset, size=box.size, image_size=(width, height))
    return CroppedImage(png, translate(geometry, -box.left, -box.bottom), crop)


def bounding_box(geometry: dict[str, Any]) -> Box:
    """Return the smallest box of whole pixels around a geometry."""
    xs, ys = zip(
        *((position[0], position[1]) for position in positions(geometry["coordinates"])), strict=True
    )
    return Box(math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys)))


def positions(coordinates: Any) -> Iterator[list[float]]:
    """Yield the positions of a geometry of any type."""
    if coordinates and not isinstance(coordinates[0], (list, tuple)):
        yield coordinates
        return
    for inner in coordinates:
        yield from positions(inner)


def translate(value: Any, x: float, y: float) -> Any:
    """Return GeoJSON moved by x and y: a geometry, or anything that contains geometries."""
    if isinstance(value, list):
        return [translate(item, x, y) for item in value]
    if not isinstance(value, dict):
        return value
    moved = {
        key: translate(item, x, y) for key, item in value.items() if key not in ("coordinates", "properties")
    }
    if "coordinates" in value:
        moved["coordinates"] = _moved(value["coordinates"], x, y)
    if isinstance(value.get("bbox"), list):
        moved["bbox"] = _moved_box(value["bbox"], x, y)
    return {key: moved.get(key, value[key]) for key in value}


def _moved(coordinates: Any, x: float, y: float) -> Any:
    if coordinates and not isinstance(coordinates[0], list):
        return [coordinates[0] + x, coordinates[1] + y, *coordinates[2:]]
    return [_moved(inner, x, y) for inner in coordinates]


def _moved_box(box: list[Any], x: float, y: float) -> list[Any]:
    half = len(box) // 2  # a box has two corners of two or three numbers
    return [*_moved(box[:half], x, y), *_moved(box[half:], x, y)]


def _header(path: Path, notes: Notes) -> ImageHeader | None:
    if not path.is_file():
        notes.error(f"cannot crop the folder {path}, only {', '.join(_FORMATS)}", _BY_HAND)
        return None
    with path.open("rb") as file:
        head = file.read(magic.HEAD_SIZE)
        name = next(iter(magic.detect_formats(head)), "")
        if name not in _FORMATS:
            what = {"": magic.describe_content(head), "dicom": "DICOM"}[name]
            notes.error(f"cannot crop {what}, only {', '.join(_FORMATS)}", _BY_HAND)
            return None
        try:
            header = read_header(name, file)
        except CorruptFile as error:
            notes.error(f"corrupt {name}: {error}", "use a valid image")
            return None
    if header.samples > _MAX_CHANNELS:
        message = f"cannot crop an image with {header.samples} channels: PNG has at most {_MAX_CHANNELS}"
        notes.error(message, _BY_HAND)
        return None
    # Pillow keeps color images with 4 bytes per pixel, and those with 16 bits are decoded twice
    needed = header.width * header.height * (2 if header.samples == 1 else 8)
    if needed > _MAX_DECODED:
        size = f"{header.width} x {header.height} pixels"
        limit = format_bytes(_MAX_DECODED)
        message = (
            f"the image is too large to crop: {size} take {format_bytes(needed)} of memory, limit {limit}"
        )
        notes.error(message, _BY_HAND)
        return None
    return header


def _clip(box: Box, width: int, height: int, notes: Notes) -> Box | None:
    image = f"the image of {width} x {height} pixels"
    shown = f"the box from ({box.left}, {box.bottom}) to ({box.right}, {box.top}) of the annotation"
    if box.is_empty:
        notes.error(f"{shown} covers no pixels", "use a geometry with an area")
        return None
    clipped = Box(max(box.left, 0), max(box.bottom, 0), min(box.right, width), min(box.top, height))
    if clipped.is_empty:
        notes.error(f"{shown} is outside of {image}", "use an annotation of this image, with y upwards")
        return None
    if clipped != box:
        parts = f"({clipped.left}, {clipped.bottom}) to ({clipped.right}, {clipped.top})"
        notes.warn(f"{shown} is partly outside of {image}: clipped to {parts}")
    return clipped


def _pixels(path: Path, box: Box, height: int, notes: Notes) -> bytes | None:
    from localrun.values import pixels

    try:
        return pixels.crop_to_png(path, box.rows(height))
    except pixels.UnsupportedImage as error:
        notes.error(f"cannot crop the image: {error}", _BY_HAND)
    return None
