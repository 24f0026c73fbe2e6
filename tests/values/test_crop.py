"""A crop has the pixels and the coordinates that the platform gives to a task."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

from localrun.descriptor.types import Image, Notes
from localrun.values import crop as crops
from localrun.values.crop import Box, bounding_box, crop_image, translate
from tests.support.image_files import dicom, tiff

WIDTH, HEIGHT = 9, 7


def polygon(left: float, bottom: float, right: float, top: float) -> dict[str, Any]:
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    return {"type": "Polygon", "coordinates": [ring]}


def picture(
    path: Path, shape: tuple[int, ...] = (HEIGHT, WIDTH), kind: Any = np.uint8, **options: Any
) -> Any:
    """Write an image whose samples are all different, and return them: rows from the top."""
    samples = np.arange(math.prod(shape)).astype(kind).reshape(shape)
    Pictures.fromarray(samples).save(path, **options)
    return samples


def cropped(path: Path, geometry: dict[str, Any], kind: Image | None = None) -> tuple[Any, Any, Notes]:
    notes = Notes("inputs.image")
    found = crop_image(kind or Image(), path, geometry, notes)
    pixels = None if found is None else np.asarray(Pictures.open(io.BytesIO(found.png)))
    return found, pixels, notes


def test_rows_are_counted_from_the_top_and_y_from_the_bottom(tmp_path: Path) -> None:
    # Given an image of 9 x 7 pixels and an annotation in its lower left part
    samples = picture(tmp_path / "a.png")

    # When it is cropped
    found, pixels, notes = cropped(tmp_path / "a.png", polygon(1.5, 0.25, 3.5, 2.75))

    # Then the crop has columns 1 to 4 and the lowest three rows
    assert np.array_equal(pixels, samples[4:7, 1:4])
    # and the geometry is moved by minus the whole part of its minimum
    assert found.region == polygon(0.5, 0.25, 2.5, 2.75)
    assert (found.crop.offset, found.crop.size, found.crop.image_size) == ((1, 0), (3, 3), (9, 7))
    assert found.crop.file == str(tmp_path / "a.png")
    assert (notes.problems, notes.warnings) == ([], [])


def test_the_crop_of_a_point_inside_of_a_pixel_is_that_pixel(tmp_path: Path) -> None:
    samples = picture(tmp_path / "a.png")
    _, pixels, _ = cropped(tmp_path / "a.png", {"type": "Point", "coordinates": [2.5, 6.5]})
    assert np.array_equal(pixels, samples[0:1, 2:3])


@pytest.mark.parametrize(
    ("name", "shape", "kind", "options"),
    [
        ("a.png", (HEIGHT, WIDTH, 3), np.uint8, {}),
        ("a.png", (HEIGHT, WIDTH, 4), np.uint8, {}),
        ("a.png", (HEIGHT, WIDTH), np.uint16, {}),
        ("a.tif", (HEIGHT, WIDTH), np.uint8, {}),
        ("a.tif", (HEIGHT, WIDTH), np.uint16, {"compression": "tiff_lzw"}),
        ("a.tif", (HEIGHT, WIDTH, 3), np.uint8, {"compression": "tiff_deflate"}),
    ],
)
def test_channels_and_bit_depth_are_kept(
    tmp_path: Path, name: str, shape: tuple[int, ...], kind: Any, options: Any
) -> None:
    samples = picture(tmp_path / name, shape, kind, **options)
    _, pixels, _ = cropped(tmp_path / name, polygon(2, 1, 6, 5))
    assert pixels.dtype == samples.dtype
    assert np.array_equal(pixels, samples[2:6, 2:6])


def test_a_jpeg_is_cropped(tmp_path: Path) -> None:
    Pictures.fromarray(np.arange(64 * 64 * 3).astype(np.uint8).reshape(64, 64, 3)).save(tmp_path / "a.jpg")
    _, pixels, _ = cropped(tmp_path / "a.jpg", polygon(10, 10, 20, 30))
    assert np.array_equal(pixels, np.asarray(Pictures.open(tmp_path / "a.jpg"))[34:54, 10:20])


def test_a_box_that_is_partly_outside_is_clipped_with_a_warning(tmp_path: Path) -> None:
    samples = picture(tmp_path / "a.png")
    found, pixels, notes = cropped(tmp_path / "a.png", polygon(-2, 5, 3, 20))
    assert np.array_equal(pixels, samples[0:2, 0:3])
    assert found.crop.offset == (0, 5)
    assert found.region == polygon(-2, 0, 3, 15)
    assert notes.warnings == [
        "inputs.image: the box from (-2, 5) to (3, 20) of the annotation is partly outside of the image of"
        " 9 x 7 pixels: clipped to (0, 5) to (3, 7)"
    ]


@pytest.mark.parametrize("geometry", [polygon(9, 0, 12, 3), polygon(0, -5, 3, -1), polygon(0, 7, 3, 9)])
def test_a_box_outside_of_the_image_is_refused(tmp_path: Path, geometry: dict[str, Any]) -> None:
    picture(tmp_path / "a.png")
    found, _, notes = cropped(tmp_path / "a.png", geometry)
    assert found is None
    assert "is outside of the image of 9 x 7 pixels" in notes.problems[0].message


def test_a_geometry_without_an_area_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    _, _, notes = cropped(tmp_path / "a.png", {"type": "Point", "coordinates": [2, 3]})
    assert "covers no pixels" in notes.problems[0].message


def test_limits_are_those_of_the_crop(tmp_path: Path) -> None:
    picture(tmp_path / "a.tif")
    _, _, notes = cropped(tmp_path / "a.tif", polygon(0, 0, 3, 3), Image(max_width=4, max_height=4))
    assert notes.problems == []
    _, _, notes = cropped(tmp_path / "a.tif", polygon(0, 0, 3, 3), Image(formats=("tiff",)))
    assert notes.problems[0].message == "expected tiff, got png"


@pytest.mark.parametrize(
    ("content", "what"), [(dicom(), "DICOM"), (b"PK\3\4" + bytes(60), "unknown data"), (b"GIF89a", "a GIF")]
)
def test_a_format_that_cannot_be_cropped_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "a").write_bytes(content)
    _, _, notes = cropped(tmp_path / "a", polygon(0, 0, 1, 1))
    assert notes.problems[0].message.startswith(f"cannot crop {what}")
    assert "-i NAME.geojson=@REGION" in notes.problems[0].remedy


def test_a_folder_of_dicom_files_is_refused(tmp_path: Path) -> None:
    _, _, notes = cropped(tmp_path, polygon(0, 0, 1, 1))
    assert notes.problems[0].message == f"cannot crop the folder {tmp_path}, only png, jpeg, tiff"


def test_an_image_with_more_channels_than_png_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(9, 7, samples=5))
    _, _, notes = cropped(tmp_path / "a.tif", polygon(0, 0, 1, 1))
    assert notes.problems[0].message == "cannot crop an image with 5 channels: PNG has at most 4"


def test_a_large_image_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.setattr(crops, "_MAX_DECODED", 100)
    _, _, notes = cropped(tmp_path / "a.png", polygon(0, 0, 1, 1))
    assert notes.problems[0].message.startswith("the image is too large to crop: 9 x 7 pixels take 126 B")


def test_an_image_above_pillows_own_limit_is_cropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = picture(tmp_path / "a.png")
    monkeypatch.setattr(Pictures, "MAX_IMAGE_PIXELS", 10)
    notes = Notes("inputs.image")
    found = crop_image(Image(), tmp_path / "a.png", polygon(0, 0, 9, 7), notes)
    assert Pictures.MAX_IMAGE_PIXELS == 10
    monkeypatch.undo()
    assert found is not None
    assert np.array_equal(np.asarray(Pictures.open(io.BytesIO(found.png))), samples)


def test_a_truncated_image_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", (70, 90, 3))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    _, _, notes = cropped(tmp_path / "a.png", polygon(0, 0, 9, 7))
    assert notes.problems[0].message.startswith("cannot crop the image: ")


def test_geometries_of_every_type_have_a_box_and_are_moved() -> None:
    multi = {
        "type": "MultiPolygon",
        "coordinates": [polygon(1, 2, 3, 4)["coordinates"]],
        "bbox": [1, 2, 3, 4],
    }
    assert bounding_box(multi) == Box(1, 2, 3, 4)
    moved = translate({"type": "Feature", "properties": {"coordinates": [1]}, "geometry": multi}, 10, 20)
    assert moved["geometry"]["coordinates"] == [polygon(11, 22, 13, 24)["coordinates"]]
    assert moved["geometry"]["bbox"] == [11, 22, 13, 24]
    assert moved["properties"] == {"coordinates": [1]}
    assert translate({"type": "Point", "coordinates": [1, 2, 3]}, 1, 1)["coordinates"] == [2, 3, 3]
