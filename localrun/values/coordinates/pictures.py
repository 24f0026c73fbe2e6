"""Read the size of an image from its header, and its pixels at a low resolution."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from localrun.values.image_headers.bounded_reader import CorruptFile
from localrun.values.image_headers.checks import read_header
from localrun.values.image_headers.magic import HEAD_SIZE, detect_formats

if TYPE_CHECKING:
    import numpy as np

    Band = np.ndarray[Any, np.dtype[np.float64]]

_SIDE = 640  # pixels of the longer side
_MAX_PIXELS = 36_000_000  # decoding takes up to 4 bytes each
_MAX_JPEG_PIXELS = 80_000_000  # decoded at a fraction of their size
_UNREADABLE = (
    *(ImportError, OSError, ValueError, SyntaxError, LookupError, TypeError, AttributeError),
    *(NotImplementedError, OverflowError, struct.error, zlib.error),
)  # what Pillow raises for damaged files


def read_size(file: BinaryIO) -> tuple[int, int] | None:
    """Return the width and height of an image in pixels; None if its format is not known."""
    formats = detect_formats(file.read(HEAD_SIZE))
    try:
        header = read_header(formats[0], file) if formats else None
    except (CorruptFile, OSError):
        return None
    return (header.width, header.height) if header else None


def read_bands(file: BinaryIO, size: tuple[int, int]) -> list[Band] | None:
    """Return the color bands of an image of this size, scaled down; None if they cannot be decoded.

    Needs Pillow. DICOM files and very large images are not decoded.
    """
    formats = detect_formats(file.read(HEAD_SIZE))
    file.seek(0)
    limit = _MAX_JPEG_PIXELS if "jpeg" in formats else _MAX_PIXELS
    if "dicom" in formats or size[0] * size[1] > limit:
        return None
    try:
        return _decode(file)
    except _UNREADABLE:
        return None


def _decode(file: BinaryIO) -> list[Band]:
    import numpy as np
    from PIL import Image

    with Image.open(file) as image:
        rows, columns = low_resolution(*image.size)
        image.draft(None, (columns, rows))
        if image.mode.startswith(("I", "F")):
            plain = image.convert("F")
        else:
            plain = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
        scaled = plain.resize((columns, rows), Image.Resampling.BOX)
    pixels = np.asarray(scaled, dtype=float)
    return [pixels] if pixels.ndim == 2 else _distinct([pixels[..., band] for band in range(3)])


def _distinct(bands: list[Band]) -> list[Band]:
    """Return one band of a gray image, all others otherwise."""
    first, *others = bands
    return [first, *(band for band in others if (band != first).any())]


def low_resolution(width: int, height: int) -> tuple[int, int]:
    """Return the rows and columns of an image after `read_bands`."""
    scale = min(1.0, _SIDE / max(width, height))
    return max(1, round(height * scale)), max(1, round(width * scale))
