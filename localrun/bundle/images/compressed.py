"""A stretch of a file, perhaps compressed: where an image archive lies, and how its bytes come out.

Nothing is unpacked to disk. A stretch that is not compressed is hopped over without being read; a
compressed one is read forward once, and stops as soon as it grows like a bomb.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import msgspec

if TYPE_CHECKING:
    import zlib

CHUNK = 1 << 20  # bytes
# What an archive may grow to. Real layers shrink to a tenth; a ratio says nothing about small files.
UNPACKED_LIMIT = 256 << 30  # bytes
RATIO_LIMIT = 200
RATIO_FLOOR = 4 << 30  # bytes; smaller ones cannot hurt, because they are only streamed

Compression = Literal["deflate", "gzip"]


class CorruptArchive(Exception):
    """The bytes are not what their container promises; the message says how."""


class FileSpan(msgspec.Struct, frozen=True):
    """`size` bytes of a file from `start`, and the packings to undo, outermost first."""

    path: Path
    start: int
    size: int
    compression: tuple[Compression, ...] = ()

    @contextmanager
    def open(self) -> Iterator[Reader]:
        """Read the unpacked bytes. The reader raises `CorruptArchive`; opening raises `OSError`."""
        with self.path.open("rb") as file:
            window = SpanReader(file, self.start, self.size)
            yield ChunkReader(_unpacked(window, self.compression), self.size) if self.compression else window

    def with_detected_gzip(self) -> FileSpan:
        """Add the gzip that the bytes themselves show, whatever the file is called."""
        with self.open() as reader:
            gzipped = reader.read(2) == b"\x1f\x8b"
        return FileSpan(self.path, self.start, self.size, (*self.compression, "gzip")) if gzipped else self


class SpanReader:
    """The bytes as they lie in the file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self.position = 0
        self._file, self._start, self._size = file, start, size
        file.seek(start)

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes; fewer only at the end."""
        data = self._file.read(max(0, min(count, self._size - self.position)))
        self.position += len(data)
        return data

    def skip(self, count: int) -> None:
        """Hop over `count` bytes without reading. Raises `CorruptArchive` when there are not as many."""
        self.position += count
        if self.position > self._size:
            raise CorruptArchive(
                f"it ends at byte {self._size}, {self.position - self._size} bytes too early"
            )
        self._file.seek(self._start + self.position)


class ChunkReader:
    """The bytes as they come out of a decompressor; `packed` is how many went in."""

    def __init__(self, chunks: Iterator[bytes], packed: int) -> None:
        self.position = 0
        self._chunks, self._packed = chunks, packed
        self._total = 0
        self._rest = b""

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes; fewer only at the end."""
        parts: list[bytes] = []
        while count and (self._rest or self._fill()):
            parts.append(self._rest[:count])
            self._rest = self._rest[count:]
            count -= len(parts[-1])
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self.position += len(data)
        return data

    def skip(self, count: int) -> None:
        """Read and drop `count` bytes. Raises `CorruptArchive` when there are not as many."""
        end = self.position + count
        while self.position < end:
            if not self.read(min(CHUNK, end - self.position)):
                raise CorruptArchive(
                    f"it ends at byte {self.position}, {end - self.position} bytes too early"
                )

    def _fill(self) -> bool:
        self._rest = next(self._chunks, b"")
        self._total += len(self._rest)
        check_growth(self._packed, self._total)
        return bool(self._rest)


class SliceReader:
    """The next `size` bytes of another reader, such as a layer inside an archive."""

    def __init__(self, reader: Reader, size: int) -> None:
        self.position = 0
        self._reader, self._size = reader, size
        self._rest = b""  # was looked at, and not yet read

    def peek(self, count: int) -> bytes:
        """Look at the first bytes, before any is read."""
        missing = min(count, self._size) - len(self._rest)
        if missing > 0:
            self._rest += self._reader.read(missing)
        return self._rest[:count]

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes; fewer only at the end."""
        count = max(0, min(count, self._size - self.position))
        kept, self._rest = self._rest[:count], self._rest[count:]
        data = kept + self._reader.read(count - len(kept)) if count > len(kept) else kept
        self.position += len(data)
        return data

    def skip(self, count: int) -> None:
        """Hop over `count` bytes. Raises `CorruptArchive` when there are not as many."""
        self.position += count
        if self.position > self._size:
            raise CorruptArchive(
                f"it ends at byte {self._size}, {self.position - self._size} bytes too early"
            )
        kept, self._rest = self._rest[:count], self._rest[count:]
        self._reader.skip(count - len(kept))

    def decompressed(self) -> SliceReader | ChunkReader:
        """The bytes without the gzip that they show, if they do. Ask before any is read."""
        if self.peek(2) != b"\x1f\x8b":
            return self
        return ChunkReader(_inflate(iter(lambda: self.read(CHUNK), b""), "gzip"), self._size)


Reader = (
    SpanReader | ChunkReader | SliceReader
)  # bytes that are read forward; `position` counts the unpacked ones


def check_growth(packed: int, unpacked: int) -> None:
    """Raise `CorruptArchive` when `packed` bytes become so many that it must be a bomb."""
    if unpacked > UNPACKED_LIMIT or (unpacked > RATIO_FLOOR and unpacked > RATIO_LIMIT * packed):
        raise CorruptArchive(
            f"{packed} bytes unpack to more than {unpacked - 1}: that is how a zip bomb looks"
        )


def _unpacked(window: SpanReader, packing: tuple[Compression, ...]) -> Iterator[bytes]:
    chunks = iter(lambda: window.read(CHUNK), b"")
    for step in packing:
        chunks = _inflate(chunks, step)
    return chunks


def _machine(step: Compression) -> zlib._Decompress:
    import zlib

    return zlib.decompressobj(-zlib.MAX_WBITS if step == "deflate" else 16 + zlib.MAX_WBITS)


def _inflate(chunks: Iterator[bytes], step: Compression) -> Iterator[bytes]:
    import zlib

    machine = _machine(step)
    try:
        for chunk in chunks:
            yield from _squeeze(machine, chunk)
            while machine.eof and step == "gzip" and machine.unused_data[:2] == b"\x1f\x8b":
                rest, machine = machine.unused_data, _machine(step)  # gzip files may be joined
                yield from _squeeze(machine, rest)
            if machine.eof:
                return
    except zlib.error as error:
        raise CorruptArchive(f"its compressed data is damaged ({error})") from error
    raise CorruptArchive("its compressed data ends too early")


def _squeeze(machine: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
    while chunk:
        data = machine.decompress(chunk, CHUNK)
        chunk = machine.unconsumed_tail
        if data:
            yield data
        elif not chunk or machine.eof:
            return
