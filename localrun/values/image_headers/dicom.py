"""The header of a DICOM file (PS3.10), as far as the size of its image."""

from __future__ import annotations

import io
import zlib
from typing import NamedTuple

from localrun.values.image_headers.bounded_reader import BoundedReader, ByteOrder, CorruptFile, ImageHeader

MAGIC_AT, MAGIC = 128, b"DICM"
_SYNTAX = 0x0002_0010
_SAMPLES, _ROWS, _COLUMNS = 0x0028_0002, 0x0028_0010, 0x0028_0011
_TOTAL_COLUMNS, _TOTAL_ROWS = 0x0048_0006, 0x0048_0007  # of a whole slide, of which a file has tiles
_LAST = 0x0048_FFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_OPEN = 0xFFFF_FFFF  # a length that is not told
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_IMPLICIT, _BIG_ENDIAN = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_MOST_INFLATED = 4 * 1024**2
_MOST_DEPTH = 64


def read_header(window: BoundedReader) -> ImageHeader:
    """Rows and columns, of the whole slide where it tells them. Raises `CorruptArchive`."""
    start, syntax = _meta(window)
    if syntax == _DEFLATED:
        window, start = _inflated(window, start), 0
    found = _Walk(window, syntax).numbers(start)
    width = found.get(_TOTAL_COLUMNS) or found.get(_COLUMNS, 0)
    height = found.get(_TOTAL_ROWS) or found.get(_ROWS, 0)
    if not width or not height:
        raise CorruptFile("it has no rows and columns: it is no image")
    return ImageHeader(width, height, found.get(_SAMPLES, 1), is_tiled=_TOTAL_COLUMNS in found)


class _Element(NamedTuple):
    tag: int
    kind: bytes
    length: int
    start: int


def _meta(window: BoundedReader) -> tuple[int, bytes]:
    """Where the data set begins, and its transfer syntax; the group before it is always explicit."""
    walk, offset, syntax = _Walk(window, b""), MAGIC_AT + 4, b""
    while offset < window.size and window.read(offset, 2) == b"\x02\0":
        element = walk.element(offset)
        if element.tag == _SYNTAX:
            syntax = window.read(element.start, min(element.length, 64)).rstrip(b"\0 ")
        offset = element.start + element.length
    if not syntax:
        raise CorruptFile("it does not say its transfer syntax")
    return offset, syntax


def _inflated(window: BoundedReader, start: int) -> BoundedReader:
    # sizes stand at the beginning, so a part is enough
    data = window.read(start, min(window.size - start, _MOST_INFLATED))
    try:
        out = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _MOST_INFLATED)
    except zlib.error as error:
        raise CorruptFile(f"its compressed data is damaged ({error})") from None
    return BoundedReader(io.BytesIO(out), len(out))


class _Walk:
    """Goes from element to element of a data set."""

    def __init__(self, window: BoundedReader, syntax: bytes) -> None:
        self._window = window
        self._order: ByteOrder = "big" if syntax == _BIG_ENDIAN else "little"
        self._is_implicit = syntax == _IMPLICIT

    def numbers(self, offset: int) -> dict[int, int]:
        """The sizes that the data set itself tells; those of sequences in it are others."""
        found: dict[int, int] = {}
        depth = 0
        while offset + 8 <= self._window.size:
            element = self.element(offset)
            if not depth and element.tag > _LAST:
                break
            depth += _change(element)
            if not 0 <= depth <= _MOST_DEPTH:
                raise CorruptFile("its sequences are not nested as they should be")
            if not depth and element.tag in _WANTED and element.length in (2, 4):
                found[element.tag] = self._number(element.start, element.length)
            offset = element.start + (0 if element.length == _OPEN else element.length)
        return found

    def element(self, offset: int) -> _Element:
        """The element at an offset."""
        tag = self._number(offset, 2) << 16 | self._number(offset + 2, 2)
        if tag in (_ITEM, _ITEM_END, _SEQUENCE_END) or self._is_implicit:
            return _Element(tag, b"", self._number(offset + 4, 4), offset + 8)
        kind = self._window.read(offset + 4, 2)
        if not kind.isalpha() or not kind.isupper():
            raise CorruptFile(f"there is no data element at byte {offset}")
        if kind in _LONG:
            return _Element(tag, kind, self._number(offset + 8, 4), offset + 12)
        return _Element(tag, kind, self._number(offset + 6, 2), offset + 8)

    def _number(self, offset: int, length: int) -> int:
        return self._window.number(offset, length, self._order)


_WANTED = {_SAMPLES, _ROWS, _COLUMNS, _TOTAL_COLUMNS, _TOTAL_ROWS}


def _change(element: _Element) -> int:
    """How an element changes the depth: what has an open length is gone into, the rest hopped over."""
    if element.tag in (_ITEM_END, _SEQUENCE_END):
        return -1
    return 1 if element.length == _OPEN else 0
