"""Read the header of a JPEG file."""

from __future__ import annotations

from localrun.values.image_headers.bounded_reader import BoundedReader, CorruptFile, ImageHeader

SIGNATURE = b"\xff\xd8\xff"
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # these contain the size
_BLOCK = 64 * 64  # an upper limit of pixels per byte: a block of 64 pixels takes about one bit


def read_header(reader: BoundedReader) -> ImageHeader:
    """Return the content of the frame header. Raises `CorruptFile`."""
    offset = 2
    while True:
        marker, offset = _marker(reader, offset)
        if marker in _FRAMES:
            return _frame(reader, offset)
        if marker in (0xD9, 0xDA):
            raise CorruptFile("the pixels start before their number is given")
        if marker not in _BARE:
            length = reader.number(offset, 2)
            if length < 2:
                raise CorruptFile(f"segment {marker:#04x} has an invalid length")
            offset += length


def _marker(reader: BoundedReader, offset: int) -> tuple[int, int]:
    """Return the marker at an offset, after any fill bytes, and the offset of its data."""
    if reader.number(offset, 1) != 0xFF:
        raise CorruptFile(f"no marker at byte {offset}")
    while (marker := reader.number(offset, 1)) == 0xFF:
        offset += 1
    return marker, offset + 1


def _frame(reader: BoundedReader, offset: int) -> ImageHeader:
    depth = reader.number(offset + 2, 1)
    height, width = reader.number(offset + 3, 2), reader.number(offset + 5, 2)
    samples = reader.number(offset + 7, 1)
    if not width or not height or not samples:
        raise CorruptFile(f"invalid size: {width} x {height} pixels of {samples} samples")
    if width * height > reader.size * _BLOCK:
        raise CorruptFile(f"invalid size: {width} x {height} pixels cannot fit in {reader.size} bytes")
    return ImageHeader(width, height, samples, width * height * samples * -(-depth // 8))
