"""Images that Pillow decodes as a whole: PNG, JPEG, and TIFF files of unusual kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from localrun.values.image_headers.bounded_reader import CorruptFile
from localrun.values.image_headers.checks import read_header
from localrun.values.pixels import without_size_limit
from localrun.values.rasters.raster import (
    DAMAGED,
    Color,
    Raster,
    Size,
    UnreadableImage,
    WholeLayer,
    check_decoded,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from localrun.values.rasters.raster import Pixels

Opener = Callable[[], BinaryIO]

_SHOWN = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "La": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "LAB": "RGB",
    "HSV": "RGB",
}
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_COLORS: dict[str, tuple[Color, int]] = {
    "L": ("gray", 1),
    "LA": ("gray+alpha", 2),
    "RGB": ("rgb", 3),
    "RGBA": ("rgba", 4),
}


def open_image(name: str, opener: Opener, page: int = 0) -> Raster:
    """Return a PNG, JPEG or TIFF image. Nothing is decoded yet. Raises `UnreadableImage`.

    A `page` has to have the size of the first one.
    """
    with opener() as file:
        try:
            header = read_header(name, file)
        except CorruptFile as error:
            raise UnreadableImage(f"corrupt {name}: {error}", "write a valid image") from error
        size = header.width, header.height
        check_decoded(size, 4 if header.samples > 1 or page else 2)
        file.seek(0)
        mode, bits = _described(name, file, size, page)
    color, channels = _COLORS[_SHOWN.get(mode, "L")]
    notes = []
    window = None
    if bits == 16 and channels > 1:
        window = (0.0, 65535.0)
        notes.append("the upper 8 of 16 bits are shown")
    layer = WholeLayer(size, lambda: _decode(name, opener, size, page))
    return Raster(
        format=name,
        channels=channels,
        bits=bits,
        color=color,
        layers=[layer],
        window=window,
        is_lossy=name == "jpeg",
        notes=notes,
    )


def _described(name: str, file: BinaryIO, size: Size, page: int) -> tuple[str, int]:
    """Return the mode that Pillow decodes the image to, and the bits per channel in the file."""
    image = _opened(name, file, size, page)
    mode: str = image.mode
    if mode not in _SHOWN and mode not in _DEEP:
        raise UnreadableImage(f"pixels of the kind {mode!r} cannot be shown")
    if mode == "P" and "transparency" in image.info:
        mode = "PA"
    if mode in _DEEP:
        return mode, 32 if mode in ("I", "F") else 16
    if mode == "1":
        return mode, 1
    stored = [str(args) for _, _, _, args in getattr(image, "tile", [])]
    return mode, 16 if any(";16" in one for one in stored) else 8


def _opened(name: str, file: BinaryIO, size: Size, page: int) -> Image:
    from PIL import Image

    try:
        with without_size_limit():
            image = Image.open(file, formats=(name.upper(),))
            if page:
                image.seek(page)
    except DAMAGED as error:
        raise UnreadableImage(f"Pillow cannot read this {name}: {error}") from error
    if image.size != size:
        raise UnreadableImage(f"corrupt {name}: its header names another size")
    return image


def _decode(name: str, opener: Opener, size: Size, page: int) -> Pixels:
    with opener() as file:
        return as_pixels(_opened(name, file, size, page))


def as_pixels(image: Image) -> Pixels:
    """Decode an open image. Raises what Pillow raises."""
    import numpy as np

    mode: str = image.mode
    if mode == "P" and "transparency" in image.info:
        mode = "PA"
    plain: Any = image if mode in _DEEP else image.convert(_SHOWN[mode])
    pixels = np.asarray(plain)
    return pixels[..., None] if pixels.ndim == 2 else pixels
