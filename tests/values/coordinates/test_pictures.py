"""Images are read at a low resolution, whatever their mode, and within limits."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from localrun.values.coordinates.pictures import low_resolution, read_bands, read_size
from tests.support.image_files import dicom, jpeg, png, tiff

GRAY = np.zeros((60, 80), np.uint8)
GRAY[:10, :20] = 200


def encoded(image: Image.Image, kind: str = "png") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def bands(data: bytes, size: tuple[int, int] = (80, 60)) -> Any:
    return read_bands(io.BytesIO(data), size)


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.fromarray(GRAY)),
        encoded(Image.fromarray(GRAY).convert("RGB")),
        encoded(Image.fromarray(GRAY).convert("P")),
        encoded(Image.fromarray(GRAY).convert("LA")),
        encoded(Image.fromarray(GRAY > 0)),
        encoded(Image.fromarray(GRAY.astype(np.uint16) * 256)),
        encoded(Image.fromarray(GRAY), "tiff"),
        encoded(Image.fromarray(GRAY), "jpeg"),
        encoded(Image.fromarray(GRAY.astype(np.float32)), "tiff"),
    ],
    ids=["gray", "RGB", "palette", "alpha", "1 bit", "16 bit", "tiff", "jpeg", "float"],
)
def test_a_gray_image_of_any_mode_has_one_band_with_its_first_row_on_top(data: bytes) -> None:
    (band,) = bands(data)

    assert band.shape == (60, 80)
    assert band[5, 10] > 10 * max(1, abs(band[50, 70]))


def test_each_color_is_a_band() -> None:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:10, :20, 2] = 255

    found = bands(encoded(Image.fromarray(pixels)))

    assert [band.max() for band in found] == [0, 255]


def test_a_large_image_is_scaled_down() -> None:
    (band,) = bands(encoded(Image.fromarray(np.tile(GRAY, (20, 20)))), (1600, 1200))

    assert band.shape == low_resolution(1600, 1200) == (480, 640)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"no image", (80, 60)),
        (png(80, 60)[:-20], (80, 60)),
        (encoded(Image.fromarray(GRAY))[:60], (80, 60)),
        (dicom(80, 60), (80, 60)),
        (encoded(Image.fromarray(GRAY)), (6001, 6000)),
        (encoded(Image.fromarray(GRAY), "jpeg"), (10000, 9000)),
    ],
    ids=["text", "truncated", "header only", "dicom", "too large", "too large jpeg"],
)
def test_what_cannot_or_should_not_be_decoded_has_no_bands(data: bytes, size: tuple[int, int]) -> None:
    assert bands(data, size) is None


@pytest.mark.parametrize("data", [png(7, 5), jpeg(7, 5), tiff(7, 5), tiff(7, 5, big=True), dicom(7, 5)])
def test_the_size_of_every_format_is_read_from_the_header(data: bytes) -> None:
    assert read_size(io.BytesIO(data)) == (7, 5)


@pytest.mark.parametrize("data", [b"", b"text", png(7, 5)[:12], b"PK\3\4zip"])
def test_what_is_no_image_has_no_size(data: bytes) -> None:
    assert read_size(io.BytesIO(data)) is None
