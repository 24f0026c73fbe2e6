"""Read the size of an image from the header of a DICOM file (PS3.10)."""

from __future__ import annotations

import io
import zlib
from typing import NamedTuple

from localrun.values.image_headers.bounded_reader import BoundedReader, ByteOrder, CorruptFile, ImageHeader

MAGIC_AT, MAGIC = 128, b"DICM"
_SYNTAX = 0x0002_0010
_SAMPLES, _ROWS, _COLUMNS = 0x0028_0002, 0x0028_0010, 0x0028_0011
_TOTAL_COLUMNS, _TOTAL_ROWS = 0x0048_0006, 0x0048_0007  # of a whole slide, if the file contains tiles of one
_LAST = 0x0048_FFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_UNDEFINED = 0xFFFF_FFFF  # length
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_IMPLICIT, _BIG_ENDIAN = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2"
DEFLATED = b"1.2.840.10008.1.2.1.99"
_MAX_INFLATED = 4 * 1024**2
_MAX_DEPTH = 64


def read_header(reader: BoundedReader) -> ImageHeader:
    """Return the rows and columns, of the whole slide if given. Raises `CorruptFile`."""
    start, syntax = read_meta(reader)
    if syntax == DEFLATED:
        reader, start = _inflated(reader, start), 0
    found = _Walk(reader, syntax).numbers(start)
    width = found.get(_TOTAL_COLUMNS) or found.get(_COLUMNS, 0)
    height = found.get(_TOTAL_ROWS) or found.get(_ROWS, 0)
    if not width or not height:
        raise CorruptFile("the file has no rows and columns, so it is not an image")
    return ImageHeader(width, height, found.get(_SAMPLES, 1), is_tiled=_TOTAL_COLUMNS in found)


class _Element(NamedTuple):
    tag: int
    kind: bytes
    length: int
    start: int


def read_meta(reader: BoundedReader) -> tuple[int, bytes]:
    """Return where the data set starts, and its transfer syntax. The group before it is always explicit."""
    walk, offset, syntax = _Walk(reader, b""), MAGIC_AT + 4, b""
    while offset < reader.size and reader.read(offset, 2) == b"\x02\0":
        element = walk.element(offset)
        if element.tag == _SYNTAX:
            syntax = reader.read(element.start, min(element.length, 64)).rstrip(b"\0 ")
        offset = element.start + element.length
    if not syntax:
        raise CorruptFile("missing transfer syntax")
    return offset, syntax


def _inflated(reader: BoundedReader, start: int) -> BoundedReader:
    # the size is at the start, so a part is enough
    data = reader.read(start, min(reader.size - start, _MAX_INFLATED))
    try:
        out = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _MAX_INFLATED)
    except zlib.error as error:
        raise CorruptFile(f"corrupt compressed data ({error})") from None
    return BoundedReader(io.BytesIO(out), len(out))


class _Walk:
    """Iterates over the elements of a data set."""

    def __init__(self, reader: BoundedReader, syntax: bytes) -> None:
        self._reader = reader
        self._order: ByteOrder = "big" if syntax == _BIG_ENDIAN else "little"
        self._is_implicit = syntax == _IMPLICIT

    def numbers(self, offset: int) -> dict[int, int]:
        """Return the sizes in the data set itself, but not those in nested sequences."""
        found: dict[int, int] = {}
        depth = 0
        while offset + 8 <= self._reader.size:
            element = self.element(offset)
            if not depth and element.tag > _LAST:
                break
            depth += _depth_change(element)
            if not 0 <= depth <= _MAX_DEPTH:
                raise CorruptFile("invalid nesting of sequences")
            if not depth and element.tag in _SIZE_TAGS and element.length in (2, 4):
                found[element.tag] = self._number(element.start, element.length)
            offset = element.start + (0 if element.length == _UNDEFINED else element.length)
        return found

    def element(self, offset: int) -> _Element:
        tag = self._number(offset, 2) << 16 | self._number(offset + 2, 2)
        if tag in (_ITEM, _ITEM_END, _SEQUENCE_END) or self._is_implicit:
            return _Element(tag, b"", self._number(offset + 4, 4), offset + 8)
        kind = self._reader.read(offset + 4, 2)
        if not kind.isalpha() or not kind.isupper():
            raise CorruptFile(f"no data element at byte {offset}")
        if kind in _LONG:
            return _Element(tag, kind, self._number(offset + 8, 4), offset + 12)
        return _Element(tag, kind, self._number(offset + 6, 2), offset + 8)

    def _number(self, offset: int, length: int) -> int:
        return self._reader.number(offset, length, self._order)


_SIZE_TAGS = {_SAMPLES, _ROWS, _COLUMNS, _TOTAL_COLUMNS, _TOTAL_ROWS}


def _depth_change(element: _Element) -> int:
    """Return the change of depth. Elements of undefined length are entered, others skipped."""
    if element.tag in (_ITEM_END, _SEQUENCE_END):
        return -1
    return 1 if element.length == _UNDEFINED else 0
