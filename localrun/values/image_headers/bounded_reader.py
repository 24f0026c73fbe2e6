"""Limited reads from an untrusted file, and the image header that they yield."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Literal

_MAX_READS = 20_000
_MAX_BYTES = 16 * 1024**2

ByteOrder = Literal["big", "little"]


class CorruptFile(ValueError):
    """The file does not have the format that its first bytes announce."""


class BoundedReader:
    """A file of `size` bytes. The number of reads and their total bytes are limited."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self._file = file
        self._reads = _MAX_READS
        self._bytes = _MAX_BYTES

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes at `offset`. Raises `CorruptFile` if there are fewer."""
        if offset + length > self.size:
            raise CorruptFile(f"the file ends after {self.size} bytes, before its header is complete")
        self._reads -= 1
        self._bytes -= length
        if self._reads < 0 or self._bytes < 0:
            raise CorruptFile("the header is longer than any valid one")
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) < length:
            raise CorruptFile("the file was truncated while it was read")
        return data

    def number(self, offset: int, length: int, order: ByteOrder = "big") -> int:
        return int.from_bytes(self.read(offset, length), order)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The width and height in pixels, and the samples per pixel.

    `unpacked_size` is the decoded size in bytes of the largest part that cannot be decoded in pieces.
    """

    width: int
    height: int
    samples: int = 1
    unpacked_size: int = 0
    is_tiled: bool = False
    is_bigtiff: bool = False
