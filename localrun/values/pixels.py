"""Crop images with Pillow, and keep their channels and bit depth."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

Corners = tuple[int, int, int, int]  # left, upper, right, lower, from the top left

# Pillow keeps 16 bits of one channel only. Of more channels it keeps one byte of each sample, the first or
# the second, so such an image is decoded twice.
_BYTES_OF_SAMPLES = {"RGB": ("RGB;16B", "RGB;16L"), "RGBA": ("RGBA;16B", "RGBA;16L")}
_KEPT = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I;16N")
_CONVERTED = {"CMYK": "RGB", "YCbCr": "RGB", "RGBX": "RGB", "PA": "RGBA"}
_COLOR_TYPES = {2: 4, 3: 2, 4: 6}  # of PNG, by the number of channels
_BITS_PER_SAMPLE, _SAMPLES, _PLANAR = 258, 277, 284  # tags of TIFF
_SEPARATE_PLANES = 2

_limit = threading.Lock()


class UnsupportedImage(ValueError):
    """The image is corrupt, or its pixels cannot be stored in a PNG file without loss."""


def crop_to_png(path: Path, corners: Corners) -> bytes:
    """Return a part of a PNG, JPEG or TIFF file as PNG. The caller limits the size of the image.

    Raises `UnsupportedImage`.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with without_size_limit(), Image.open(path, formats=("PNG", "JPEG", "TIFF")) as image:
            return _deep(path, image, corners) if _is_deep(image) else _plain(image, corners)
    except UnidentifiedImageError as error:
        raise UnsupportedImage("Pillow does not read pixels of this kind") from error
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
        raise UnsupportedImage(str(error) or type(error).__name__) from error


@contextmanager
def without_size_limit() -> Iterator[None]:
    """Disable Pillow's own limit, which is lower and global."""
    from PIL import Image

    with _limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _plain(image: ImageFile, corners: Corners) -> bytes:
    cropped = image.crop(corners)
    if cropped.mode == "I":  # 32 bits, also of signed samples
        low, high = cropped.getextrema()
        if low < 0 or high > 0xFFFF:  # type: ignore[operator]
            raise UnsupportedImage(f"its values from {low} to {high} do not fit into the 16 bits of PNG")
        cropped = cropped.convert("I;16")
    if cropped.mode in _CONVERTED:
        cropped = cropped.convert(_CONVERTED[cropped.mode])
    if cropped.mode not in _KEPT:
        raise UnsupportedImage(f"PNG has no pixels of the kind {cropped.mode!r}")
    stream = io.BytesIO()
    cropped.save(stream, "PNG")
    return stream.getvalue()


def _is_deep(image: ImageFile) -> bool:
    """Return whether the image has multiple channels of more than 8 bits. Raises `UnsupportedImage`."""
    if image.format == "TIFF":
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        samples, bits = tags.get(_SAMPLES, 1), max(tags.get(_BITS_PER_SAMPLE, (1,)))
        if samples > 1 and bits > 8 and (bits != 16 or tags.get(_PLANAR) == _SEPARATE_PLANES):
            raise UnsupportedImage(f"{samples} separate channels of {bits} bits cannot be read")
        return bool(samples > 1 and bits > 8)
    return any(";16" in _rawmode(tile.args) for tile in image.tile) and image.mode in ("LA", "RGB", "RGBA")


def _rawmode(args: Any) -> str:
    found = args[0] if isinstance(args, tuple) and args else args
    return found if isinstance(found, str) else ""


def _deep(path: Path, image: ImageFile, corners: Corners) -> bytes:
    import numpy as np

    stored = _rawmode(image.tile[0].args)
    little = image.format == "TIFF" and ";16B" not in stored
    if stored.startswith("LA;"):  # the four bytes of a pixel, as if it had four channels
        raw = _decoded(path, corners, "RGBA", "RGBA")
        planes = [raw[..., 0::2], raw[..., 1::2]]
    elif (mode := stored.partition(";")[0]) in _BYTES_OF_SAMPLES:
        planes = [_decoded(path, corners, mode, rawmode) for rawmode in _BYTES_OF_SAMPLES[mode]]
    else:
        raise UnsupportedImage(f"16 bits of the kind {stored!r} cannot be read")
    first, second = planes[::-1] if little else planes
    return _png(first.astype(np.uint16) << 8 | second)


def _decoded(path: Path, corners: Corners, mode: str, rawmode: str) -> Any:
    """Return the pixels of a part of an image, decoded as if its bytes had another meaning."""
    import numpy as np
    from PIL import Image

    with Image.open(path, formats=("PNG", "TIFF")) as image:
        tiles = image.tile
        image._mode = mode
        args = [(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode for tile in tiles]
        image.tile = [tile._replace(args=new) for tile, new in zip(tiles, args, strict=True)]
        return np.asarray(image.crop(corners))


def _png(pixels: Any) -> bytes:
    """Return an array of rows, columns and channels of 16 bits as PNG."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").tobytes()
    size = len(rows) // height
    compressor = zlib.compressobj(6)
    parts = [compressor.compress(b"\0" + rows[start : start + size]) for start in range(0, len(rows), size)]
    header = struct.pack(">2I5B", width, height, 16, _COLOR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", b"".join([*parts, compressor.flush()])), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
