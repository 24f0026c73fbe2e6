"""The header of a PNG file."""

from __future__ import annotations

from localrun.values.image_headers.bounded_reader import BoundedReader, CorruptFile, ImageHeader

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of colour
_DEFLATE_LIMIT = 1032  # bytes that deflate can make of one


def read_header(window: BoundedReader) -> ImageHeader:
    """What IHDR says, which must come first. Raises `CorruptArchive`."""
    if window.read(8, 8) != b"\0\0\0\rIHDR":
        raise CorruptFile("its first chunk is not IHDR")
    width, height = window.number(16, 4), window.number(20, 4)
    depth, colour = window.read(24, 2)
    if not 0 < width < 2**31 or not 0 < height < 2**31:
        raise CorruptFile(f"it says to be {width} x {height} pixels")
    if colour not in _SAMPLES or depth not in (1, 2, 4, 8, 16):
        raise CorruptFile(f"it has an unknown colour type {colour} or bit depth {depth}")
    unpacked = height * -(-width * _SAMPLES[colour] * depth // 8)
    if unpacked > window.size * _DEFLATE_LIMIT:
        raise CorruptFile(f"it says to be {width} x {height} pixels, which {window.size} bytes cannot hold")
    return ImageHeader(width, height, _SAMPLES[colour], unpacked)
