"""The header of a JPEG file."""

from __future__ import annotations

from localrun.values.image_headers.bounded_reader import BoundedReader, CorruptFile, ImageHeader

SIGNATURE = b"\xff\xd8\xff"
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # where the size stands
_BLOCK = 64 * 64  # pixels that one byte can hold at the very least: a block of 64 takes a bit or so


def read_header(window: BoundedReader) -> ImageHeader:
    """What the frame header says, wherever it is. Raises `CorruptArchive`."""
    offset = 2
    while True:
        marker, offset = _marker(window, offset)
        if marker in _FRAMES:
            return _frame(window, offset)
        if marker in (0xD9, 0xDA):
            raise CorruptFile("its pixels begin before it tells their number")
        if marker not in _BARE:
            length = window.number(offset, 2)
            if length < 2:
                raise CorruptFile(f"segment {marker:#04x} has an impossible length")
            offset += length


def _marker(window: BoundedReader, offset: int) -> tuple[int, int]:
    """The marker at an offset, and where what belongs to it begins; fill bytes may come before it."""
    if window.number(offset, 1) != 0xFF:
        raise CorruptFile(f"there is no marker at byte {offset}")
    while (marker := window.number(offset, 1)) == 0xFF:
        offset += 1
    return marker, offset + 1


def _frame(window: BoundedReader, offset: int) -> ImageHeader:
    depth = window.number(offset + 2, 1)
    height, width = window.number(offset + 3, 2), window.number(offset + 5, 2)
    samples = window.number(offset + 7, 1)
    if not width or not height or not samples:
        raise CorruptFile(f"it says to be {width} x {height} pixels of {samples} samples")
    if width * height > window.size * _BLOCK:
        raise CorruptFile(f"it says to be {width} x {height} pixels, which {window.size} bytes cannot hold")
    return ImageHeader(width, height, samples, width * height * samples * -(-depth // 8))
