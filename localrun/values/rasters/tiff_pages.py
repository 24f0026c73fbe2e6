"""The directories of a TIFF or BigTIFF file, and their tags. Large tags are read value by value."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

from localrun.values.image_headers.bounded_reader import BoundedReader, ByteOrder, CorruptFile
from localrun.values.image_headers.tiff import BIG

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
PALETTE, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 320, 322, 323, 324, 325
SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES, SUBSAMPLING = 330, 338, 339, 347, 530
_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 13: 4, 16: 8, 18: 8}  # bytes of each type of integers
_MAX_PAGES = 1000
_MAX_TAGS = 4096
_MAX_VALUES = 100_000  # of one tag, read at once

Opener = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class _Tag:
    """Where the values of a tag are: at `offset`, `count` integers of `size` bytes each."""

    size: int
    count: int
    offset: int


class FileBytes:
    """The bytes of an open file, for multiple threads. The file is closed with the last reference."""

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes at `offset`. Raises `CorruptFile` if there are fewer."""
        data = os.pread(self._descriptor, length, offset)
        if len(data) < length:
            raise CorruptFile(f"the file ends before byte {offset + length}")
        return data


@dataclass(frozen=True, slots=True)
class TiffPage:
    """A directory of a TIFF file: one image.

    `position` counts the directories from 0. One below another has its position, and `is_sub` is true.
    """

    file: FileBytes
    order: ByteOrder
    tags: dict[int, _Tag]
    position: int = 0
    is_sub: bool = False

    def number(self, tag: int, default: int = 0, index: int = 0) -> int:
        """Return one value of a tag. Raises `CorruptFile` if the tag has fewer values."""
        found = self.tags.get(tag)
        if found is None:
            return default
        if index >= found.count:
            raise CorruptFile(f"tag {tag} has {found.count} values, expected more")
        return int.from_bytes(self.file.read(found.offset + index * found.size, found.size), self.order)

    def numbers(self, tag: int) -> list[int]:
        found = self.tags.get(tag)
        data = self.content(tag)
        size = found.size if found else 1
        return [int.from_bytes(data[at : at + size], self.order) for at in range(0, len(data), size)]

    def content(self, tag: int) -> bytes:
        """Return the bytes of a tag; none if it does not exist."""
        found = self.tags.get(tag)
        if found is None:
            return b""
        if found.count > _MAX_VALUES:
            raise CorruptFile(f"tag {tag} has {found.count} values")
        return self.file.read(found.offset, found.size * found.count)

    @property
    def size(self) -> tuple[int, int]:
        return self.number(WIDTH), self.number(HEIGHT)

    @property
    def tile_size(self) -> tuple[int, int]:
        """The size of the tiles, or that of the strips."""
        width, height = self.size
        if TILE_WIDTH in self.tags:
            return self.number(TILE_WIDTH), self.number(TILE_HEIGHT)
        return width, min(self.number(ROWS, height), height)


def read_pages(opener: Opener) -> list[TiffPage]:
    """Return the directories of a file, those below another one after it. Raises `CorruptFile`."""
    with opener() as file:
        walk = _Walk(BoundedReader(file, file.seek(0, 2)), FileBytes(file))
        pages: list[TiffPage] = []
        for count, page in enumerate(walk.chain(walk.first)):
            pages.append(replace(page, position=count))
            with suppress(CorruptFile):  # the image itself may be complete
                for offset in page.numbers(SUB_DIRECTORIES)[:_MAX_PAGES]:
                    pages += [replace(one, position=count, is_sub=True) for one in walk.chain(offset)]
        return pages


class _Walk:
    def __init__(self, reader: BoundedReader, file: FileBytes) -> None:
        head = reader.read(0, 4)
        self.order: ByteOrder = "little" if head.startswith(b"I") else "big"
        self._reader = reader
        self._file = file
        self._is_big = head in BIG
        self._seen: set[int] = set()
        self.first = self._number(8 if self._is_big else 4, 8 if self._is_big else 4)

    def chain(self, offset: int) -> Iterator[TiffPage]:
        """Yield each directory from an offset on, once."""
        while offset and offset not in self._seen and len(self._seen) < _MAX_PAGES:
            self._seen.add(offset)
            try:
                page, following = self._page(offset)
            except CorruptFile:
                if len(self._seen) == 1:
                    raise
                return
            yield page
            offset = following

    def _page(self, offset: int) -> tuple[TiffPage, int]:
        counter, entry, field = (8, 20, 8) if self._is_big else (2, 12, 4)
        count = self._number(offset, counter)
        if not 0 < count <= _MAX_TAGS:
            raise CorruptFile(f"invalid number of tags in a directory: {count}")
        tags: dict[int, _Tag] = {}
        for start in range(offset + counter, offset + counter + count * entry, entry):
            size = _UNITS.get(self._number(start + 2, 2))
            values = self._number(start + 4, field)
            if size is not None:
                place = start + 4 + field
                inside = size * values <= field
                tags[self._number(start, 2)] = _Tag(
                    size, values, place if inside else self._number(place, field)
                )
        following = self._number(offset + counter + count * entry, field)
        return TiffPage(self._file, self.order, tags), following

    def _number(self, offset: int, length: int) -> int:
        return self._reader.number(offset, length, self.order)
