"""Read and write 8-bit grey PNG images with the standard library only."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # colour type -> samples of a pixel


class PngError(ValueError):
    """The bytes are not a PNG image, or of an unsupported kind."""


@dataclass(frozen=True)
class Picture:
    """Grey levels from 0 to 255 in rows from the top."""

    width: int
    height: int
    pixels: bytes


def encode(picture: Picture) -> bytes:
    """Return a PNG file."""
    width, height = picture.width, picture.height
    rows = (b"\0" + picture.pixels[y * width : (y + 1) * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(b"".join(rows), 9))
        + _chunk(b"IEND", b"")
    )


def decode(data: bytes) -> Picture:
    """Read an 8-bit grey or RGB PNG file; colours are converted to grey, alpha is dropped.

    Raises `PngError` for anything else.
    """
    chunks = _chunks(data)
    width, height, channels = _header(chunks.get(b"IHDR", b""))
    try:
        size = height * (1 + width * channels)
        raw = zlib.decompressobj().decompress(chunks.get(b"IDAT", b""), size)
    except zlib.error as error:
        raise PngError(f"its pixels cannot be unpacked: {error}") from error
    if len(raw) != size:
        raise PngError(f"it holds {len(raw)} bytes of pixels where {size} are needed")
    return Picture(width, height, _grey(_unfilter(raw, width * channels, channels), channels))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Return all chunks by kind; chunks of the same kind are joined."""
    if not data.startswith(SIGNATURE):
        raise PngError("it does not begin as a PNG file does")
    chunks: dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if data[at + 8 + length : at + 12 + length] != struct.pack(">I", zlib.crc32(kind + body)):
            raise PngError(f"its part {kind.decode('latin-1')!r} is damaged")
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + length
    return chunks


def _header(body: bytes) -> tuple[int, int, int]:
    if len(body) != 13:
        raise PngError("it has no header")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
    if depth != 8 or colour not in CHANNELS or interlaced:
        raise PngError("only 8-bit grey and RGB pictures that are not interlaced are read")
    if not width or not height:
        raise PngError("it has no pixels")
    return width, height, CHANNELS[colour]


def _unfilter(raw: bytes, stride: int, step: int) -> bytearray:
    """Undo the filter of each row."""
    pixels = bytearray()
    above = bytearray(stride)
    for start in range(0, len(raw), stride + 1):
        row = bytearray(raw[start + 1 : start + 1 + stride])
        _unfilter_row(raw[start], row, above, step)
        pixels += row
        above = row
    return pixels


def _unfilter_row(kind: int, row: bytearray, above: bytearray, step: int) -> None:
    if kind > 4:
        raise PngError(f"a row is stored in the unknown way {kind}")
    for i in range(len(row) if kind else 0):
        left = row[i - step] if i >= step else 0
        corner = above[i - step] if i >= step else 0
        row[i] = (row[i] + _predicted(kind, left, above[i], corner)) & 255


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    """Return the predicted value of a pixel; `kind` is the filter type of the PNG standard, 1 to 4."""
    if kind == 4:
        guess = left + up - corner
        return min((left, up, corner), key=lambda value: abs(guess - value))
    return (left, up, (left + up) // 2)[kind - 1]


def _grey(samples: bytearray, channels: int) -> bytes:
    if channels < 3:
        return bytes(samples[::channels])
    red, green, blue = samples[::channels], samples[1::channels], samples[2::channels]
    return bytes(
        (299 * r + 587 * g + 114 * b + 500) // 1000 for r, g, b in zip(red, green, blue, strict=True)
    )
