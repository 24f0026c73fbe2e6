"""Images with 16 bits and multiple channels are cropped without loss."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localrun.values.pixels import UnsupportedImage, crop_to_png
from tests.support.image_files import chunk

COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def samples(channels: int) -> Any:
    return np.random.default_rng(channels).integers(0, 2**16, (7, 9, channels)).astype(np.uint16)


def deep_tiff(pixels: Any, order: str, *, planar: int = 1, bits: int = 16) -> bytes:
    height, width, channels = pixels.shape
    tags = {
        256: width,
        257: height,
        258: 0,
        259: 1,
        262: 2,
        273: 0,
        277: channels,
        278: height,
        279: pixels.nbytes,
    }
    tags |= {284: planar, **({338: 2} if channels == 4 else {})}
    depths_at = 8 + 2 + 12 * len(tags) + 4
    tags |= {258: depths_at, 273: depths_at + 2 * channels}
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    for tag, value in sorted(tags.items()):
        kind, count = (3, channels) if tag == 258 else (4, 1)
        head += struct.pack(f"{order}HHII", tag, kind, count, value)
    tail: bytes = pixels.astype(f"{order}u2").tobytes()
    return head + bytes(4) + struct.pack(f"{order}{channels}H", *[bits] * channels) + tail


def deep_png(pixels: Any) -> bytes:
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">2I5B", width, height, 16, COLOR_TYPES[channels], 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def read_deep_png(data: bytes) -> Any:
    width, height = struct.unpack(">2I", data[16:24])
    assert data[24] == 16
    channels = next(channels for channels, color in COLOR_TYPES.items() if color == data[25])
    rows = zlib.decompressobj().decompress(data[data.index(b"IDAT") + 4 :])
    lines = np.frombuffer(rows, np.uint8).reshape(height, -1)[:, 1:]
    return np.ascontiguousarray(lines).view(">u2").reshape(height, width, channels)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_16_bits_and_multiple_channels_keeps_them(
    tmp_path: Path, channels: int, order: str
) -> None:
    pixels = samples(channels)
    (tmp_path / "a.tif").write_bytes(deep_tiff(pixels, order))
    assert np.array_equal(read_deep_png(crop_to_png(tmp_path / "a.tif", (2, 1, 6, 5))), pixels[1:5, 2:6])


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_png_of_16_bits_and_multiple_channels_keeps_them(tmp_path: Path, channels: int) -> None:
    pixels = samples(channels)
    (tmp_path / "a.png").write_bytes(deep_png(pixels))
    assert np.array_equal(read_deep_png(crop_to_png(tmp_path / "a.png", (2, 1, 6, 5))), pixels[1:5, 2:6])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (deep_tiff(samples(2), "<"), "does not read pixels of this kind"),
        (deep_tiff(samples(3), "<", planar=2), "separate channels"),
    ],
)
def test_an_image_that_png_cannot_hold_or_pillow_cannot_read_is_refused(
    tmp_path: Path, data: bytes, message: str
) -> None:
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(UnsupportedImage, match=message):
        crop_to_png(tmp_path / "a.tif", (0, 0, 2, 2))
