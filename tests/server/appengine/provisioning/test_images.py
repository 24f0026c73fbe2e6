"""Image files are refused in App Engine's order and with its messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.descriptor.types import Image
from localrun.server.appengine.provisioning.images import check_image
from localrun.server.appengine.provisioning.invalid_value import InvalidValue
from tests.support.image_files import dicom, jpeg, png, slide, tiff

PNG, TIFF = Image(formats=("png",)), Image(formats=("tiff",))


def check(folder: Path, kind: Image, data: bytes) -> bool:
    path = folder / "image"
    path.write_bytes(data)
    return check_image(kind, path)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Image(), b"any bytes"),
        (Image(), b""),
        (Image(max_width=3, max_height=2), png()),
        (PNG, png()),
        (Image(formats=("jpeg", "png")), png()),
        (Image(formats=("dicom",)), dicom()),
        (TIFF, tiff()),
        (Image(max_width=3), tiff(tile=16)),
        (Image(formats=("png",), max_file_size=10_000), png()),
    ],
)
def test_an_image_that_keeps_the_rules_is_accepted(tmp_path: Path, kind: Image, data: bytes) -> None:
    assert not check(tmp_path, kind, data)


@pytest.mark.parametrize("kind", [PNG, Image(), Image(max_width=1, max_file_size=1)])
@pytest.mark.parametrize("data", [slide(), slide({"a/": b"", "a/b.dcm": dicom()})])
def test_a_zip_of_dicom_files_is_a_slide_whatever_the_formats_say(
    tmp_path: Path, kind: Image, data: bytes
) -> None:
    assert check(tmp_path, kind, data)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (PNG, jpeg(), "invalid image format"),
        (TIFF, tiff(big=True), "invalid image format"),
        (Image(), slide({"a.txt": b"text"}), "invalid image format"),
        (Image(), slide({"../a.dcm": dicom()}), "invalid image format"),
        (Image(), b"PK\x03\x04 cut off", "invalid image format"),
        (Image(max_width=1), b"any bytes", "invalid image dimension"),
        (Image(formats=("jpeg",), max_width=1), jpeg()[:8], "invalid image dimension"),
        (Image(max_width=2, max_height=1, max_file_size=1), png(), "invalid image width"),
        (Image(max_width=3, max_height=1, max_file_size=1), png(), "invalid image height"),
        (Image(max_file_size=1), png(), "invalid image size"),
        (TIFF, tiff(tile=16), "invalid image"),
        (TIFF, tiff(samples=1), "invalid image"),
    ],
)
def test_the_first_broken_rule_gives_the_message(
    tmp_path: Path, kind: Image, data: bytes, message: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        check(tmp_path, kind, data)
    assert caught.value.message == message
