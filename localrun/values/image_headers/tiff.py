"""The header of a TIFF or BigTIFF file, in either order of bytes: its first directory."""

from __future__ import annotations

from typing import NamedTuple

from localrun.values.image_headers.bounded_reader import BoundedReader, ByteOrder, CorruptFile, ImageHeader

CLASSIC = (b"II*\0", b"MM\0*")
BIG = (b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _DEPTH, _PACKING, _SAMPLES, _ROWS = 256, 257, 258, 259, 277, 278
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_SIZES = {1: 1, 3: 2, 4: 4, 16: 8}  # bytes of the unsigned types: BYTE SHORT LONG LONG8
_MOST_TAGS = 4096
_MOST_SAMPLES = 65535


class _Form(NamedTuple):
    """How a file of a kind is laid out: sizes in bytes."""

    order: ByteOrder
    counter: int  # of the number of tags
    tag: int
    number: int  # of offsets, and of the values that stand in a tag itself


def read_header(window: BoundedReader) -> ImageHeader:
    """What the first directory says. Raises `CorruptArchive`."""
    head = window.read(0, 4)
    order: ByteOrder = "little" if head.startswith(b"I") else "big"
    form = _Form(order, 8, 20, 8) if head in BIG else _Form(order, 2, 12, 4)
    if head in BIG and window.number(4, 2, order) != 8:
        raise CorruptFile("its offsets are not of 8 bytes")
    first = window.number(8 if head in BIG else 4, form.number, form.order)
    tags = _directory(window, form, first)
    return _picture(tags, is_big=head in BIG)


def _directory(window: BoundedReader, form: _Form, offset: int) -> dict[int, int]:
    count = window.number(offset, form.counter, form.order)
    if not 0 < count <= _MOST_TAGS:
        raise CorruptFile(f"its first directory has {count} tags")
    data = window.read(offset + form.counter, count * form.tag)
    found: dict[int, int] = {}
    for place in range(0, len(data), form.tag):
        tag = int.from_bytes(data[place : place + 2], form.order)
        if tag in _WANTED:
            found.setdefault(tag, _value(window, form, data[place : place + form.tag], offset))
    return found


_WANTED = {_WIDTH, _HEIGHT, _DEPTH, _PACKING, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT}


def _value(window: BoundedReader, form: _Form, tag: bytes, directory: int) -> int:
    """The first value of a tag, which stands in the tag, or where the tag points to."""
    size = _SIZES.get(int.from_bytes(tag[2:4], form.order))
    count = int.from_bytes(tag[4 : 4 + form.number], form.order)
    if size is None or not count:
        raise CorruptFile(f"a tag of its directory at byte {directory} is no number")
    place = tag[-form.number :]
    if size * count <= form.number:
        return int.from_bytes(place[:size], form.order)
    return window.number(int.from_bytes(place, form.order), size, form.order)


def _picture(tags: dict[int, int], *, is_big: bool) -> ImageHeader:
    width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    samples, depth = tags.get(_SAMPLES, 1), tags.get(_DEPTH, 1)
    if not width or not height or not 0 < samples <= _MOST_SAMPLES:
        raise CorruptFile(f"it says to be {width} x {height} pixels of {samples} samples")
    tiled = _TILE_WIDTH in tags
    across = tags[_TILE_WIDTH] if tiled else width
    down = tags.get(_TILE_HEIGHT, 0) if tiled else min(tags.get(_ROWS, height), height)
    # what is not packed is read in pieces of any size
    packed = tags.get(_PACKING, 1) != 1
    unpacked = across * down * samples * -(-depth // 8) if packed else 0
    return ImageHeader(width, height, samples, unpacked, tiled, is_big)
