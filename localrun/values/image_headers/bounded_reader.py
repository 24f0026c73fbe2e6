"""Positioned reads from a file that nobody has to trust, and what is learnt from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Literal

_MOST_READS = 20_000
_MOST_BYTES = 16 * 1024**2

ByteOrder = Literal["big", "little"]


class CorruptFile(ValueError):
    """The file is not what its first bytes promise; the text says how."""


class BoundedReader:
    """A file of `size` bytes; everything read from it together is limited in number and bytes."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self._file = file
        self._reads = _MOST_READS
        self._bytes = _MOST_BYTES

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`. Raises `CorruptArchive` when they are not there."""
        if offset + length > self.size:
            raise CorruptFile(f"it ends after {self.size} bytes, before its header is complete")
        self._reads -= 1
        self._bytes -= length
        if self._reads < 0 or self._bytes < 0:
            raise CorruptFile("its header is longer than any real one")
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) < length:
            raise CorruptFile("it became shorter while it was read")
        return data

    def number(self, offset: int, length: int, order: ByteOrder = "big") -> int:
        """An unsigned number of `length` bytes."""
        return int.from_bytes(self.read(offset, length), order)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a header says: pixels across and down, samples a pixel.

    `unpacked` is how many bytes its largest part takes that can only be decoded as a whole.
    """

    width: int
    height: int
    samples: int = 1
    unpacked_size: int = 0
    is_tiled: bool = False
    is_bigtiff: bool = False
