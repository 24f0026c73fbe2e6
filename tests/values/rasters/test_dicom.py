from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from localrun.values.rasters import dicom, display, opening
from localrun.values.rasters.raster import Area, Part, Raster, UnreadableImage
from tests.support import image_files
from tests.support.rasters import gradient, opener_of, save_dicom, save_slide

PART = Area(30, 50, 250, 170)


def slide(folder: Path) -> Raster:
    return opening.open_folder((path.name, opener_of(path)) for path in sorted(folder.iterdir()))


@pytest.mark.parametrize("sparse", [False, True])
def test_a_slide_is_read_in_tiles_at_its_resolutions(tmp_path: Path, sparse: bool) -> None:
    pixels = gradient()
    found = slide(save_slide(tmp_path / "slide", pixels, sparse=sparse))
    assert (found.format, found.size, found.color) == ("wsidicom", (300, 200), "rgb")
    assert [layer.size for layer in found.layers] == [(300, 200), (150, 100)]
    assert (found.read(PART, PART.size) == pixels[50:170, 30:250]).all()
    assert (found.read(Area(0, 0, 300, 200), (150, 100)) == pixels[::2, ::2]).all()


def test_a_tile_that_a_sparse_slide_lacks_is_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "_places", lambda *_: {})
    found = slide(save_slide(tmp_path / "slide", gradient(), sparse=True))
    assert (found.read(PART, PART.size) == 255).all()


def test_the_label_of_a_slide_is_not_its_image(tmp_path: Path) -> None:
    folder = save_slide(tmp_path / "slide", gradient(), levels=1)
    save_dicom(folder / "label.dcm", gradient(900, 900), ImageType=["ORIGINAL", "PRIMARY", "LABEL", "NONE"])
    (folder / "notes.txt").write_text("no DICOM")
    assert slide(folder).size == (300, 200)


def test_a_single_image_is_shown_in_its_window(tmp_path: Path) -> None:
    pixels = gradient(channels=1, dtype="u2")
    attributes = {"WindowCenter": 40, "WindowWidth": 400, "RescaleSlope": 2, "RescaleIntercept": -1024}
    found = opening.open_file(opener_of(save_dicom(tmp_path / "ct", pixels, **attributes)))
    assert (found.bits, found.color, found.format) == (16, "gray", "dicom")
    assert display.find_range(found) == (-160, 240, "window")
    assert (found.read(PART, PART.size) == pixels[50:170, 30:250] * 2.0 - 1024).all()


def test_each_frame_and_channel_of_a_dicom_file_is_shown(tmp_path: Path) -> None:
    frames = [gradient(), 255 - gradient(), gradient() // 2]
    path = save_dicom(tmp_path / "cine", np.concatenate(frames), Rows=200, NumberOfFrames=3)
    first = opening.open_file(opener_of(path))
    assert (first.frames, first.notes) == (3, [])
    last = opening.open_file(opener_of(path), Part(2, 1))
    assert (last.color, last.notes) == ("gray", [])
    assert (last.read(PART, PART.size)[..., 0] == frames[2][50:170, 30:250, 1]).all()


def test_an_inverted_image_is_shown_as_it_is_meant(tmp_path: Path) -> None:
    pixels = np.zeros((10, 10, 1), "u2")
    pixels[0, 0] = 900
    path = save_dicom(tmp_path / "xray", pixels, PhotometricInterpretation="MONOCHROME1")
    found = opening.open_file(opener_of(path))
    shown = display.render(found, Area(0, 0, 10, 10), (10, 10), display.find_range(found))
    assert (shown.getpixel((0, 0)), shown.getpixel((5, 5))) == (0, 255)


def test_without_pydicom_the_package_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_dicom(tmp_path / "ct", gradient())
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UnreadableImage, match="pydicom, which is not installed") as error:
        opening.open_file(opener_of(path))
    assert error.value.needs_package
    assert error.value.remedy == "install it with `pip install 'localrun-tasks[dicom]'`"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(image_files.dicom(60_000, 60_000), "decoding 60000 x 60000 pixels takes", id="bomb"),
        pytest.param(image_files.dicom(0, 0), "no rows and columns", id="no size"),
        pytest.param(image_files.dicom()[:150], "corrupt DICOM file", id="cut off"),
    ],
)
def test_a_hostile_file_is_refused_before_it_is_decoded(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableImage, match=message):
        opening.open_file(opener_of(data))


def test_a_deflated_file_that_inflates_to_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "_MAX_INFLATED", 10)
    data = image_files.dicom(100, 100, syntax=image_files.DEFLATED)
    with pytest.raises(UnreadableImage, match="inflates to too many bytes"):
        opening.open_file(opener_of(data))


def test_pixels_that_are_missing_are_an_error() -> None:
    found = opening.open_file(opener_of(image_files.dicom(50, 40)))
    with pytest.raises(UnreadableImage):
        found.read(Area(0, 0, 50, 40), (50, 40))


def test_an_empty_folder_is_no_slide() -> None:
    with pytest.raises(UnreadableImage, match="contains no DICOM file"):
        opening.open_folder([])


def jpegs(path: Path, frame: tuple[int, int], name: str = "JPEG") -> Path:
    """Write a DICOM file of 50 x 40 pixels whose compressed frame has another size."""
    import io

    from PIL import Image
    from pydicom import dcmread
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000, JPEGBaseline8Bit

    stream = io.BytesIO()
    options = {} if name == "JPEG" else {"no_jp2": True}
    Image.new("L", frame, 77).save(stream, name, **options)
    data = dcmread(save_dicom(path, np.zeros((40, 50, 1), "u1")))
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if name == "JPEG" else JPEG2000
    data.PixelData = encapsulate([stream.getvalue()])
    data["PixelData"].VR = "OB"
    data.save_as(path)
    return path


@pytest.mark.parametrize("name", ["JPEG", "JPEG2000"])
def test_a_compressed_frame_is_read_unless_it_is_larger_than_the_file_says(tmp_path: Path, name: str) -> None:
    area = Area(0, 0, 50, 40)
    fine = opening.open_file(opener_of(jpegs(tmp_path / "fine", (50, 40), name)))
    assert abs(int(fine.read(area, (50, 40))[3, 3, 0]) - 77) <= 2
    bomb = opening.open_file(opener_of(jpegs(tmp_path / "bomb", (3000, 2000), name)))
    with pytest.raises(UnreadableImage, match="a frame has 3000 x 2000 pixels, not 50 x 40"):
        bomb.read(area, (50, 40))
