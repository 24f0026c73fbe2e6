from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from localrun.values.rasters import display, opening, raster
from localrun.values.rasters.raster import Area, Raster, UnreadableImage
from tests.support import image_files
from tests.support.rasters import gradient, opener_of, tiff_bytes


def saved(pixels: Any, name: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, name, **options)
    return stream.getvalue()


def opened(data: bytes) -> Raster:
    return opening.open_file(opener_of(data))


def whole(found: Raster, size: tuple[int, int] | None = None) -> Any:
    area = Area(0, 0, *found.size)
    return np.asarray(display.render(found, area, size or found.size, display.find_range(found)))


@pytest.mark.parametrize(
    ("image", "color", "bits"),
    [
        pytest.param(Image.fromarray(gradient()), "rgb", 8, id="rgb"),
        pytest.param(Image.fromarray(gradient(channels=4)), "rgba", 8, id="rgba"),
        pytest.param(Image.fromarray(gradient(channels=1)[..., 0]), "gray", 8, id="gray"),
        pytest.param(Image.fromarray(gradient()).convert("P"), "rgb", 8, id="palette"),
        pytest.param(Image.fromarray(gradient()).convert("LA"), "gray+alpha", 8, id="gray and alpha"),
        pytest.param(Image.fromarray(gradient()).convert("1"), "gray", 1, id="one bit"),
        pytest.param(Image.fromarray(gradient(channels=1, dtype="u2")[..., 0]), "gray", 16, id="16 bits"),
    ],
)
def test_each_kind_of_png_is_shown(image: Image.Image, color: str, bits: int) -> None:
    found = opened(saved(image))
    assert (found.format, found.size, found.color, found.bits) == ("png", (300, 200), color, bits)
    assert whole(found).shape[:2] == (200, 300)
    if bits == 8:
        mode = {"gray": "L", "rgb": "RGB", "rgba": "RGBA", "gray+alpha": "LA"}[color]
        assert (whole(found) == np.asarray(image.convert(mode))).all()


def test_a_jpeg_is_shown() -> None:
    found = opened(saved(gradient(), "JPEG"))
    assert (found.format, found.is_lossy, found.size) == ("jpeg", True, (300, 200))
    assert display.find_range(found) is None


def test_16_bits_are_scaled_from_the_range_of_the_image() -> None:
    pixels = np.full((50, 60), 1000, "u2")
    pixels[:10] = 5000
    found = opened(saved(pixels))
    assert display.find_range(found) == (1000, 5000, "data")
    assert set(np.unique(whole(found))) == {0, 255}


def test_values_that_are_not_numbers_are_black() -> None:
    pixels = np.zeros((64, 64), "f4")
    pixels[1, 1], pixels[2, 2] = np.nan, 3.0
    found = opened(tiff_bytes(pixels, tile=64))
    assert display.find_range(found) == (0, 3, "data")
    assert whole(found)[1, 1] == 0
    assert whole(found)[2, 2] == 255


def test_a_mask_of_zeros_and_ones_is_not_black() -> None:
    mask = np.zeros((40, 40), "u1")
    mask[:20] = 1
    found = opened(saved(mask))
    assert display.find_range(found) == (0, 1, "data")
    assert set(np.unique(whole(found))) == {0, 255}


def test_a_usual_gray_image_keeps_its_levels() -> None:
    pixels = np.arange(40, 240, dtype="u1").reshape(10, 20)
    found = opened(saved(pixels))
    assert display.find_range(found) is None
    assert (whole(found) == pixels).all()


def test_each_level_has_half_the_pixels_of_the_one_before() -> None:
    found = opened(tiff_bytes(gradient(3000, 1100, channels=1), tile=256))
    assert [(one.width, one.height, one.columns, one.rows) for one in display.levels_of(found)] == [
        (3000, 1100, 6, 3),
        (1500, 550, 3, 2),
        (750, 275, 2, 1),
        (375, 138, 1, 1),
    ]


def test_the_tiles_of_a_level_are_the_image() -> None:
    pixels = gradient(1200, 700, channels=1)
    found = opened(tiff_bytes(pixels, tile=256))
    level = display.levels_of(found)[0]
    rows = []
    for row in range(level.rows):
        columns = range(level.columns)
        views = [(level.area(column, row, found.size), level.tile_size(column, row)) for column in columns]
        rows.append(np.hstack([np.asarray(display.render(found, *view, None)) for view in views]))
    assert (np.vstack(rows) == pixels[..., 0]).all()


def test_a_smaller_view_is_close_to_the_mean_of_its_pixels() -> None:
    rows, columns = np.mgrid[:400, :600]
    pixels = ((rows + columns) / 4).astype("u1")
    found = opened(tiff_bytes(pixels))
    small = np.asarray(Image.fromarray(pixels).resize((60, 40), Image.Resampling.BOX)).astype(int)
    assert np.abs(whole(found, (60, 40)).astype(int) - small).max() <= 2


def test_a_view_of_a_huge_image_without_low_resolutions_ends_at_a_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(raster, "MAX_READ", 1024 * 1024)
    found = opened(tiff_bytes(gradient(4000, 3000, channels=1), tile=512, packing="none"))
    assert [one.level for one in display.levels_of(found)] == [0, 1]
    assert display.find_range(found) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(image_files.png(60_000, 60_000, data=bytes(4_000_000)), "takes", id="png"),
        pytest.param(image_files.jpeg(60_000, 60_000, before=b""), "takes|cannot fit", id="jpeg"),
        pytest.param(image_files.png(3, 2)[:20], "corrupt png", id="cut off header"),
        pytest.param(b"GIF89a" + bytes(600), "not an image: a GIF", id="gif"),
        pytest.param(b"<svg onload=alert(1)>", "not an image: text", id="svg"),
        pytest.param(b"", "not an image: an empty file", id="empty"),
        pytest.param(image_files.slide(), "a zipped slide is not shown", id="zip"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_it_is_decoded(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableImage, match=message):
        opened(data)


def test_pixels_that_are_cut_off_are_an_error() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (300, 300), "u1")
    found = opened(saved(noise)[:5000])
    with pytest.raises(UnreadableImage, match="cannot decode the pixels"):
        found.read(Area(0, 0, 300, 300), (300, 300))


def test_photographs_are_sent_as_jpeg_and_others_without_loss() -> None:
    image = Image.fromarray(gradient())
    assert display.encode(image, is_lossy=True)[1] == "image/jpeg"
    data, media = display.encode(image, is_lossy=False)
    assert media == "image/png"
    assert (np.asarray(Image.open(io.BytesIO(data))) == gradient()).all()
    assert display.encode(Image.fromarray(gradient(channels=4)), is_lossy=True)[1] == "image/png"
