"""Read the header of a PNG file."""

from __future__ import annotations

from localrun.values.image_headers.bounded_reader import BoundedReader, CorruptFile, ImageHeader

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
_DEFLATE_LIMIT = 1032  # the highest ratio of compression


def read_header(reader: BoundedReader) -> ImageHeader:
    """Return the content of IHDR, which must be the first chunk. Raises `CorruptFile`."""
    if reader.read(8, 8) != b"\0\0\0\rIHDR":
        raise CorruptFile("the first chunk is not IHDR")
    width, height = reader.number(16, 4), reader.number(20, 4)
    depth, color = reader.read(24, 2)
    if not 0 < width < 2**31 or not 0 < height < 2**31:
        raise CorruptFile(f"invalid size: {width} x {height} pixels")
    if color not in _SAMPLES or depth not in (1, 2, 4, 8, 16):
        raise CorruptFile(f"invalid color type {color} or bit depth {depth}")
    unpacked = height * -(-width * _SAMPLES[color] * depth // 8)
    if unpacked > reader.size * _DEFLATE_LIMIT:
        raise CorruptFile(f"invalid size: {width} x {height} pixels cannot fit in {reader.size} bytes")
    return ImageHeader(width, height, _SAMPLES[color], unpacked)
