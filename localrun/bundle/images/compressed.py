"""Read a span of a file that may be compressed, such as an image archive inside a zip.

Nothing is unpacked to disk. Uncompressed spans are skipped without reading. Compressed spans are read forward
once, and reading stops if they grow like a zip bomb.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import msgspec

from localrun import fs
from localrun.bundle import cancellation

if TYPE_CHECKING:
    import zlib

CHUNK = 1 << 20  # bytes
_PIECE = 16 << 10  # bytes
_GZIP = b"\x1f\x8b"  # magic number
ZSTD = b"\x28\xb5\x2f\xfd"  # magic number
# Real layers compress to about a tenth; the ratio of small files says nothing.
UNPACKED_LIMIT = 256 << 30  # bytes
RATIO_LIMIT = 200
RATIO_FLOOR = 4 << 30  # bytes; smaller data does no harm, because it is only streamed

Compression = Literal["deflate", "gzip"]


class CorruptArchive(Exception):
    """The data is damaged, or differs from what its container promises; the message says how."""


class FileSpan(msgspec.Struct, frozen=True):
    """`size` bytes of a file from `start`, and their compressions, outermost first."""

    path: Path
    start: int
    size: int
    compression: tuple[Compression, ...] = ()

    @contextmanager
    def open(self) -> Iterator[Reader]:
        """Open the decompressed bytes. The reader raises `CorruptArchive`, opening raises `OSError`."""
        with fs.open_regular(self.path) as file:
            reader = SpanReader(file, self.start, self.size)
            if not self.compression:
                yield reader
                return
            chunks = iter(lambda: reader.read(CHUNK), b"")
            for step in self.compression:
                chunks = _inflate(chunks, step)
            yield ChunkReader(chunks, self.size)

    def with_detected_gzip(self) -> FileSpan:
        """Return the span with gzip added if the bytes start like gzip, whatever the file name."""
        with self.open() as reader:
            gzipped = reader.read(2) == _GZIP
        return FileSpan(self.path, self.start, self.size, (*self.compression, "gzip")) if gzipped else self


class SpanReader:
    """A reader of uncompressed bytes in a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self.position = 0
        self._file, self._start, self._size = file, start, size
        file.seek(start)

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer only at the end."""
        data = self._file.read(max(0, min(count, self._size - self.position)))
        self.position += len(data)
        return data

    def skip(self, count: int) -> None:
        """Skip `count` bytes without reading them. Raises `CorruptArchive` if there are fewer."""
        self.position += count
        if self.position > self._size:
            raise _truncated(self._size, self.position)
        self._file.seek(self._start + self.position)


class ChunkReader:
    """A reader of chunks, e.g. of a decompressor; `compressed_size` is its number of input bytes."""

    def __init__(self, chunks: Iterator[bytes], compressed_size: int) -> None:
        self.position = 0
        self._chunks, self._compressed_size = chunks, compressed_size
        self._total = 0
        self._chunk, self._start = b"", 0  # the rest of the chunk starts there

    def read(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count and (self._start < len(self._chunk) or self._fill()):
            parts.append(self._chunk[self._start : self._start + count])
            self._start += len(parts[-1])
            count -= len(parts[-1])
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self.position += len(data)
        return data

    def skip(self, count: int) -> None:
        end = self.position + count
        while self.position < end:
            if not self.read(min(CHUNK, end - self.position)):
                raise _truncated(self.position, end)

    def _fill(self) -> bool:
        cancellation.check()
        self._chunk, self._start = next(self._chunks, b""), 0
        self._total += len(self._chunk)
        check_growth(self._compressed_size, self._total)
        return bool(self._chunk)


class SliceReader:
    """A reader of the next `size` bytes of another reader, such as a layer inside an archive."""

    def __init__(self, reader: Reader, size: int) -> None:
        self.position = 0
        self._reader, self._size = reader, size
        self._rest = b""  # peeked at, but not read yet

    def peek(self, count: int) -> bytes:
        """Return the first bytes without reading them. Call it before `read`."""
        missing = min(count, self._size) - len(self._rest)
        if missing > 0:
            self._rest += self._reader.read(missing)
        return self._rest[:count]

    def read(self, count: int) -> bytes:
        count = max(0, min(count, self._size - self.position))
        kept, self._rest = self._rest[:count], self._rest[count:]
        data = kept + self._reader.read(count - len(kept)) if count > len(kept) else kept
        self.position += len(data)
        return data

    def skip(self, count: int) -> None:
        self.position += count
        if self.position > self._size:
            raise _truncated(self._size, self.position)
        kept, self._rest = self._rest[:count], self._rest[count:]
        self._reader.skip(count - len(kept))

    def decompressed(self) -> SliceReader | ChunkReader:
        """Return a reader of the decompressed bytes if they are gzip. Call it before `read`."""
        if self.peek(2) != _GZIP:
            return self
        return ChunkReader(_inflate(iter(lambda: self.read(CHUNK), b""), "gzip"), self._size)


Reader = SpanReader | ChunkReader | SliceReader  # `position` counts decompressed bytes


def _truncated(size: int, expected: int) -> CorruptArchive:
    return CorruptArchive(f"it ends at byte {size}, {expected - size} bytes too early")


def check_growth(compressed: int, size: int) -> None:
    """Raise `CorruptArchive` if `size` bytes from `compressed` bytes indicate a zip bomb."""
    if size > UNPACKED_LIMIT or (size > RATIO_FLOOR and size > RATIO_LIMIT * compressed):
        raise CorruptArchive(f"{compressed} bytes decompress to more than {size - 1}, like a zip bomb")


def _decompressor(step: Compression) -> zlib._Decompress:
    import zlib

    return zlib.decompressobj(-zlib.MAX_WBITS if step == "deflate" else 16 + zlib.MAX_WBITS)


def _inflate(chunks: Iterator[bytes], step: Compression) -> Iterator[bytes]:
    import zlib

    decompressor = _decompressor(step)
    rest = b""
    try:
        for piece in _pieces(chunks):
            data, rest = rest + piece, b""
            while data:
                if decompressor.eof:
                    if len(data) < len(_GZIP):
                        rest = data
                        break
                    if step != "gzip" or not data.startswith(_GZIP):
                        return
                    decompressor = _decompressor(step)  # gzip files may be concatenated
                yield from _feed(decompressor, data)
                data = decompressor.unused_data
    except zlib.error as error:
        raise CorruptArchive(f"its compressed data is damaged ({error})") from error
    if not decompressor.eof:
        raise CorruptArchive("its compressed data ends too early")


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Split chunks: the data after the end of a gzip file is copied, which may happen for every few bytes."""
    for chunk in chunks:
        yield from (chunk[start : start + _PIECE] for start in range(0, len(chunk), _PIECE))


def _feed(decompressor: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
    while chunk and not decompressor.eof:
        data = decompressor.decompress(chunk, CHUNK)
        chunk = decompressor.unconsumed_tail
        if data:
            yield data
        elif not chunk:
            return
