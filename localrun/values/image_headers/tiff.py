"""Read the first directory of a TIFF or BigTIFF file, in either byte order."""

from __future__ import annotations

from typing import NamedTuple

from localrun.values.image_headers.bounded_reader import BoundedReader, ByteOrder, CorruptFile, ImageHeader

CLASSIC = (b"II*\0", b"MM\0*")
BIG = (b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _DEPTH, _COMPRESSION, _SAMPLES, _ROWS = 256, 257, 258, 259, 277, 278
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_SIZES = {1: 1, 3: 2, 4: 4, 16: 8}  # bytes of the unsigned types: BYTE SHORT LONG LONG8
_MAX_TAGS = 4096
_MAX_SAMPLES = 65535


class _Layout(NamedTuple):
    """The byte order and the field sizes in bytes of a TIFF or BigTIFF file."""

    order: ByteOrder
    counter: int  # the number of tags
    tag: int
    number: int  # offsets, and values inside a tag


def read_header(reader: BoundedReader) -> ImageHeader:
    """Return the content of the first directory. Raises `CorruptFile`."""
    head = reader.read(0, 4)
    order: ByteOrder = "little" if head.startswith(b"I") else "big"
    layout = _Layout(order, 8, 20, 8) if head in BIG else _Layout(order, 2, 12, 4)
    if head in BIG and reader.number(4, 2, order) != 8:
        raise CorruptFile("the offsets do not have 8 bytes")
    first = reader.number(8 if head in BIG else 4, layout.number, layout.order)
    tags = _directory(reader, layout, first)
    return _header(tags, is_big=head in BIG)


def _directory(reader: BoundedReader, layout: _Layout, offset: int) -> dict[int, int]:
    count = reader.number(offset, layout.counter, layout.order)
    if not 0 < count <= _MAX_TAGS:
        raise CorruptFile(f"invalid number of tags in the first directory: {count}")
    data = reader.read(offset + layout.counter, count * layout.tag)
    found: dict[int, int] = {}
    for start in range(0, len(data), layout.tag):
        tag = int.from_bytes(data[start : start + 2], layout.order)
        if tag in _KNOWN_TAGS:
            found.setdefault(tag, _value(reader, layout, data[start : start + layout.tag], offset))
    return found


_KNOWN_TAGS = {_WIDTH, _HEIGHT, _DEPTH, _COMPRESSION, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT}


def _value(reader: BoundedReader, layout: _Layout, tag: bytes, directory: int) -> int:
    """Return the first value of a tag, which is in the tag or where the tag points."""
    size = _SIZES.get(int.from_bytes(tag[2:4], layout.order))
    count = int.from_bytes(tag[4 : 4 + layout.number], layout.order)
    if size is None or not count:
        raise CorruptFile(f"a tag of the directory at byte {directory} is not a number")
    value = tag[-layout.number :]
    if size * count <= layout.number:
        return int.from_bytes(value[:size], layout.order)
    return reader.number(int.from_bytes(value, layout.order), size, layout.order)


def _header(tags: dict[int, int], *, is_big: bool) -> ImageHeader:
    width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    samples, depth = tags.get(_SAMPLES, 1), tags.get(_DEPTH, 1)
    if not width or not height or not 0 < samples <= _MAX_SAMPLES:
        raise CorruptFile(f"invalid size: {width} x {height} pixels of {samples} samples")
    tiled = _TILE_WIDTH in tags
    across = tags[_TILE_WIDTH] if tiled else width
    down = tags.get(_TILE_HEIGHT, 0) if tiled else min(tags.get(_ROWS, height), height)
    # uncompressed images can be read in pieces of any size
    compressed = tags.get(_COMPRESSION, 1) != 1
    unpacked = across * down * samples * -(-depth // 8) if compressed else 0
    return ImageHeader(width, height, samples, unpacked, tiled, is_big)
