"""Outputs are compared by type: values within the tolerance pass, others are reported and drawn."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from localrun.descriptor.types import (
    Array,
    Boolean,
    DataType,
    DateTime,
    File,
    Geometry,
    Image,
    Integer,
    Number,
    String,
)
from localrun.errors import Problem, UsageError
from localrun.values import FileValue
from localrun.values.compare.expected.outputs import Tolerance, compare, parse_tolerances

SAMPLES = Path(__file__).parents[4] / "samples"
SQUARE: dict[str, Any] = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]}


def differences(kind: DataType, want: Any, got: Any, **tolerance: Any) -> list[str]:
    """What differs, without its path."""
    found = compare({"x": want}, {"x": got}, {"x": kind}, {"x": Tolerance(**tolerance)})
    return [str(one).removeprefix("outputs.x: ").removeprefix("outputs.") for one in found]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def png(pixels: Any, form: str = "png") -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(np.asarray(pixels, dtype=np.uint8)).save(stream, form)
    return stream.getvalue()


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "want", "got", "tolerance"),
    [
        (Integer(), 3, 3, {}),
        (Integer(), 3, 5, {"absolute": 2}),
        (Number(), 0.3, 0.1 + 0.2, {}),
        (Number(), 100, 101, {"relative": 0.01}),
        (Number(), "nan", "nan", {}),
        (Number(), "-inf", "-inf", {}),
        (String(), "a", "a", {}),
        (Boolean(), True, True, {}),
        (DateTime(), "2024-02-23T18:00:00+01:00", "2024-02-23T17:00:00Z", {}),
        (DateTime(), "2024-02-23T18:00:00Z", "2024-02-23T18:00:01.5Z", {"seconds": 2}),
        (Array(subtype=Array(subtype=Number())), [[1], []], [[1.05], []], {"absolute": 0.1}),
        (String(), "anything", "else", {"ignore": True}),
        (String(), None, None, {}),
    ],
)
def test_what_is_near_enough_is_no_difference(kind: DataType, want: Any, got: Any, tolerance: Any) -> None:
    assert differences(kind, want, got, **tolerance) == []


@pytest.mark.parametrize(
    ("kind", "want", "got", "tolerance", "said"),
    [
        (Integer(), 3, 4, {}, "expected 3, got 4 (1 apart)"),
        (Integer(), 3, 6, {"absolute": 2}, "expected 3, got 6 (3 apart); tolerance: 2"),
        (Number(), 1, 2, {"relative": 0.01}, "expected 1, got 2 (1 apart); tolerance: 0.01 of the value"),
        (Number(), "nan", 1.0, {}, "expected 'nan', got 1.0"),
        (Number(), "inf", "-inf", {}, "expected 'inf', got '-inf'"),
        (Number(), "many", 1, {}, "expected 'many', got 1; both must be numbers"),
        (Integer(), True, 1, {}, "expected true, got 1; both must be numbers"),
        (String(), "a", "b", {}, "expected 'a', got 'b'"),
        (Boolean(), 1, True, {}, "expected 1, got true"),
        (
            DateTime(),
            "2024-02-23T18:00:00Z",
            "2024-02-23T18:00:03Z",
            {"seconds": 2},
            "expected 2024-02-23T18:00:00Z, got 2024-02-23T18:00:03Z (3 s apart)",
        ),
        (DateTime(), "today", "2024-02-23T18:00:03Z", {}, None),
        (Array(subtype=Integer()), 3, [3], {}, "expected 3, got a list"),
        (String(), None, "a", {}, "expected no output, got 'a'"),
        (String(), "a", None, {"ignore": True}, "missing or invalid output"),
    ],
)
def test_what_is_too_far_is_told_with_both_values(
    kind: DataType, want: Any, got: Any, tolerance: Any, said: str | None
) -> None:
    found = differences(kind, want, got, **tolerance)
    assert len(found) == 1
    assert said is None or found == [said]


def test_every_item_of_an_array_is_told() -> None:
    found = differences(Array(subtype=Integer()), [1, 2, 3], [1, 5, 6, 7])
    assert found == [
        "expected 3 items, got 4",
        "x.1: expected 2, got 5 (3 apart)",
        "x.2: expected 3, got 6 (3 apart)",
    ]
    assert differences(Array(subtype=Integer()), [1], []) == ["expected 1 item, got 0"]


@given(st.floats(), st.floats(), st.floats(0, 10))
def test_two_numbers_are_as_close_in_either_order(one: float, other: float, absolute: float) -> None:
    there = differences(Number(), one, other, absolute=absolute)
    back = differences(Number(), other, one, absolute=absolute)
    assert bool(there) == bool(back)


# -- files ----------------------------------------------------------------------------------------


def test_texts_are_shown_by_the_lines_that_differ(tmp_path: Path) -> None:
    want = written(tmp_path, "want.csv", "a,1\nb,2\nc,3\n")
    (found,) = differences(File(), FileValue(want), str(written(tmp_path, "got", "a,1\nb,7\nc,3\n")))
    assert found.startswith("differs from line 2 (12 B and 12 B); - is expected, + is actual")
    assert "-b,2" in found
    assert "+b,7" in found


def test_numbers_in_a_text_may_be_near_and_its_words_may_not(tmp_path: Path) -> None:
    want = written(tmp_path, "want", "x 1.000 -2e3\ny 5\n")
    near = written(tmp_path, "near", "x 1.004 -2.001e3\ny 5\n")
    word = written(tmp_path, "word", "z 1.000 -2e3\ny 5\n")
    longer = written(tmp_path, "longer", "x 1.000 -2e3\ny 5\ny 5\n")
    assert differences(File(), want, near, relative=0.01) == []
    assert len(differences(File(), want, near)) == 1
    assert "in line 1 by more than the tolerance" in differences(File(), want, word, relative=0.01)[0]
    assert "in line 3 by more than the tolerance" in differences(File(), want, longer, relative=0.01)[0]


def test_a_text_that_differs_in_its_line_ends_alone_differs(tmp_path: Path) -> None:
    want, got = written(tmp_path, "want", "a\nb\n"), written(tmp_path, "got", "a\r\nb\r\n")
    assert len(differences(File(), want, got)) == 1


def test_bytes_are_told_by_the_first_that_differs(tmp_path: Path) -> None:
    want = written(tmp_path, "want.bin", b"\0" * 50 + b"abc")
    same_size = written(tmp_path, "same", b"\0" * 50 + b"axc")
    longer = written(tmp_path, "longer", b"\0" * 50 + b"abcd")
    assert differences(File(), want, same_size) == ["differs from byte 51 (53 B and 53 B)"]
    assert differences(File(), want, longer) == ["differs from byte 53 (53 B and 54 B)"]


def test_a_folder_is_compared_file_by_file(tmp_path: Path) -> None:
    for side, names in (("want", "ab"), ("got", "bc")):
        for name in names:
            written(tmp_path, f"{side}/{name}", side if name == "b" else "same")
    found = differences(Image(), tmp_path / "want", tmp_path / "got")
    assert [line.partition("\n")[0] for line in found] == [
        "x.a: missing file",
        "x.c: unexpected file",
        "x.b: differs from line 1 (4 B and 3 B); - is expected, + is actual",
    ]
    assert differences(Image(), tmp_path / "want", tmp_path / "want" / "a") == [
        "expected a folder, got a file"
    ]


# -- images ---------------------------------------------------------------------------------------


def test_images_are_the_same_however_they_are_packed(tmp_path: Path) -> None:
    pixels = np.arange(64).reshape(8, 8)
    want, got = written(tmp_path, "want", png(pixels)), written(tmp_path, "got", png(pixels, "tiff"))
    assert differences(Image(), want, got) == []


def test_pixels_that_differ_are_counted_and_drawn(tmp_path: Path) -> None:
    # Given two pictures of which three pixels differ, one of them a lot
    pixels = np.zeros((10, 20), dtype=np.uint8)
    other = pixels.copy()
    other[2, 5], other[3, 6], other[4, 7] = 200, 4, 4
    want, got = written(tmp_path, "want", png(pixels)), written(tmp_path, "got", png(other))

    # When they are compared
    (found,) = compare({"x": want}, {"x": got}, {"x": Image()})

    # Then they are counted, and the picture shows expected, found, and the pixels in red
    assert found.message == "differs in 3 of 200 pixels (1.5 %), largest difference 200 at x=5, y=2"
    assert found.image is not None
    assert found.image.suffix == ".png"
    sketch = np.asarray(Pillow.open(io.BytesIO(found.image.data)))
    red = (sketch == (220, 0, 0)).all(axis=2).sum()
    assert red == 3 * (640 // 20) ** 2


def test_one_pixel_of_a_large_picture_is_seen(tmp_path: Path) -> None:
    pixels = np.zeros((2000, 3000), dtype=np.uint8)
    other = pixels.copy()
    other[1999, 2999] = 1
    want, got = written(tmp_path, "want", png(pixels)), written(tmp_path, "got", png(other))
    (found,) = compare({"x": want}, {"x": got}, {"x": Image()})
    assert found.image is not None
    sketch = np.asarray(Pillow.open(io.BytesIO(found.image.data)))
    assert (sketch == (220, 0, 0)).all(axis=2).sum() == 1


def test_a_few_pixels_and_a_few_levels_may_be_allowed(tmp_path: Path) -> None:
    pixels = np.full((10, 10), 100)
    other = pixels.copy()
    other[0, 0], other[0, 1:] = 200, 103
    want, got = written(tmp_path, "want", png(pixels)), written(tmp_path, "got", png(other))
    assert differences(Image(), want, got, level=3, pixels=0.01) == []
    assert "1 of 100 pixels" in differences(Image(), want, got, level=3)[0]
    assert "10 of 100 pixels" in differences(Image(), want, got, pixels=0.05)[0]


def test_a_picture_of_another_size_or_with_other_channels_is_told(tmp_path: Path) -> None:
    grey = written(tmp_path, "grey", png(np.zeros((4, 6))))
    colour = written(tmp_path, "colour", png(np.zeros((4, 5, 3))))
    assert differences(Image(), grey, colour) == [
        "expected 6 x 4 pixels with 1 channel of uint8, got 5 x 4 pixels with 3 channels of uint8"
    ]


def test_pages_are_compared_each(tmp_path: Path) -> None:
    def pages(*levels: int) -> bytes:
        stream = io.BytesIO()
        first, *rest = (Pillow.fromarray(np.full((3, 3), level, dtype=np.uint8)) for level in levels)
        first.save(stream, "tiff", save_all=True, append_images=rest)
        return stream.getvalue()

    want, got = written(tmp_path, "want", pages(1, 2)), written(tmp_path, "got", pages(1, 9, 3))
    found = differences(Image(), want, got)
    assert found[0] == "expected 2 pages, got 3"
    assert found[1].startswith("x.page 1: differs in 9 of 9 pixels")


def test_sixteen_bits_are_compared_as_they_are(tmp_path: Path) -> None:
    def deep(level: int) -> bytes:
        stream = io.BytesIO()
        Pillow.fromarray(np.full((3, 3), level, dtype=np.uint16)).save(stream, "tiff")
        return stream.getvalue()

    want, got = written(tmp_path, "want", deep(40_000)), written(tmp_path, "got", deep(40_200))
    assert differences(Image(), want, got, level=200) == []
    assert "largest difference 200" in differences(Image(), want, got)[0]


def dicom(path: Path, name: str, pixels: bytes, frames: int = 1) -> Path:
    made = pydicom.dcmread(SAMPLES / "types" / "image-dicom" / "picture.dicom")
    made.PatientName = name
    made.Rows, made.Columns, made.SamplesPerPixel = 2, 3, 1
    made.PhotometricInterpretation, made.PixelRepresentation = "MONOCHROME2", 0
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.NumberOfFrames = frames
    made.PixelData = pixels
    made["PixelData"].VR = "OB"
    made.save_as(path)
    return path


def test_dicom_is_compared_by_its_pixels(tmp_path: Path) -> None:
    # Given a file of DICOM, the same with another name in it, and one with another pixel
    want = dicom(tmp_path / "want", "Some^Body", b"abcdef")
    named = dicom(tmp_path / "named", "Any^Body", b"abcdef")
    changed = dicom(tmp_path / "changed", "Some^Body", b"abcdeg")

    # Then pixels count
    assert differences(Image(), want, named) == []
    assert "differs in 1 of 6 pixels" in differences(Image(), want, changed)[0]


def test_frames_of_dicom_are_compared_each(tmp_path: Path) -> None:
    want = dicom(tmp_path / "want", "Some^Body", b"abcdefghijkl", frames=2)
    got = dicom(tmp_path / "got", "Some^Body", b"abcdefghijkx", frames=2)
    assert [line.partition(",")[0] for line in differences(Image(), want, got)] == [
        "x.page 1: differs in 1 of 6 pixels (16.7 %)"
    ]


def test_what_is_no_picture_is_compared_by_its_bytes_with_the_reason(tmp_path: Path) -> None:
    want, got = written(tmp_path, "want", b"not a picture"), written(tmp_path, "got", b"not one either")
    (found,) = differences(Image(), want, got)
    assert found.startswith("bytes differ from want, and the pixels cannot be compared: cannot")


def test_without_pillow_the_way_to_get_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want, got = written(tmp_path, "want", png([[1]])), written(tmp_path, "got", png([[2]]))
    monkeypatch.setitem(sys.modules, "PIL", None)
    (found,) = differences(Image(), want, got)
    assert "install Pillow or localrun-tasks[pytest]" in found
    assert differences(Image(), want, want) == []


# -- geometries -----------------------------------------------------------------------------------


def shifted(by: float) -> dict[str, Any]:
    return {**SQUARE, "coordinates": [[[x + by, y] for x, y in SQUARE["coordinates"][0]]]}


def test_the_same_shape_may_begin_anywhere_and_be_written_anyhow(tmp_path: Path) -> None:
    turned = [[10, 10], [0, 10], [0, 0], [5, 0], [10, 0], [10, 10]]
    feature = {
        "type": "Feature",
        "properties": None,
        "geometry": {"type": "Polygon", "coordinates": [turned]},
    }
    path = written(tmp_path, "got", json.dumps(feature, indent=2))
    assert differences(Geometry(), SQUARE, str(path)) == []
    assert differences(Geometry(), json.dumps(SQUARE), str(path)) == []


def test_shapes_that_differ_are_measured_and_drawn(tmp_path: Path) -> None:
    path = written(tmp_path, "got", json.dumps(shifted(1)))
    (found,) = compare({"x": SQUARE}, {"x": path}, {"x": Geometry()})
    assert found.message == "the shapes are 1 apart and share 81.82 % of their area"
    assert found.image is not None
    assert found.image.suffix == ".svg"
    assert found.image.data.count(b"<path") == 2


def test_shapes_may_be_apart_by_a_distance_or_share_an_area() -> None:
    assert differences(Geometry(), SQUARE, shifted(1), distance=1) == []
    assert differences(Geometry(), SQUARE, shifted(1), overlap=0.8) == []
    assert "tolerance: distance 0.5" in differences(Geometry(), SQUARE, shifted(1), distance=0.5)[0]
    assert "expected at least 90 %" in differences(Geometry(), SQUARE, shifted(1), overlap=0.9)[0]


def circle(radius: float, x: float = 1) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [x, 1]},
        "properties": {"subType": "Circle", "radius": radius},
    }


def test_circles_have_a_radius() -> None:
    assert differences(Geometry(), circle(2), circle(2)) == []
    assert differences(Geometry(), circle(2), circle(2.4), distance=0.5) == []
    assert differences(Geometry(), circle(2), circle(3)) == ["expected radius 2, got 3"]
    assert differences(Geometry(), circle(2), circle(2, x=2)) == ["the shapes are 1 apart"]


def test_other_kinds_of_geometries_are_told() -> None:
    point = {"type": "Point", "coordinates": [1, 1]}
    assert differences(Geometry(), point, SQUARE) == ["expected a Point, got a Polygon"]
    assert differences(Geometry(), circle(1), point) == ["expected a Circle, got a Point"]
    empty = {"type": "MultiPolygon", "coordinates": []}
    filled = {"type": "MultiPolygon", "coordinates": [SQUARE["coordinates"]]}
    assert differences(Geometry(), filled, empty) == ["unexpected empty geometry"]
    assert differences(Geometry(), empty, empty) == []
    assert "invalid geometry" in differences(Geometry(), {"type": "Cube"}, SQUARE)[0]


# -- expected outputs -----------------------------------------------------------------------------


def problems_of(error: pytest.ExceptionInfo[UsageError]) -> dict[str, Problem]:
    return {problem.path: problem for problem in error.value.problems}


def test_what_is_expected_of_no_output_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    wanted = {"summ": 3, "mask": FileValue(tmp_path / "no.png"), "masks": [FileValue(tmp_path / "no2.png")]}
    types: dict[str, DataType] = {"sum": Integer(), "mask": Image(), "masks": Array(subtype=Image())}
    with pytest.raises(UsageError) as raised:
        compare(wanted, {}, types)
    found = problems_of(raised)
    assert found["expected.summ"].remedy == "did you mean 'sum'?"
    assert found["expected.mask"].message == f"{tmp_path / 'no.png'} does not exist"
    assert found["expected.masks"].message == f"{tmp_path / 'no2.png'} does not exist"


def test_tolerances_are_read_by_the_types_of_the_outputs() -> None:
    types: dict[str, DataType] = {"mean": Number(), "masks": Array(subtype=Image())}
    found = parse_tolerances({"mean": 0.5, "masks": {"level": 3, "pixels": 0.01}}, types)
    assert found == {"mean": Tolerance(absolute=0.5), "masks": Tolerance(level=3, pixels=0.01)}


def test_all_that_is_wrong_with_tolerances_is_told() -> None:
    types: dict[str, DataType] = {"mean": Number(), "mask": Image(), "word": String()}
    given_ones = {
        "meen": 1,
        "mean": {"absolut": 1, "relative": -1},
        "mask": {"pixels": 7, "distance": 1, "ignore": 1},
        "word": 3,
    }
    with pytest.raises(UsageError) as raised:
        parse_tolerances(given_ones, types)
    found = {path: (one.message, one.remedy) for path, one in problems_of(raised).items()}
    assert found == {
        "tolerances.meen": ("unknown output 'meen'", "did you mean 'mean'?"),
        "tolerances.mean.absolut": ("unknown tolerance 'absolut'", "did you mean 'absolute'?"),
        "tolerances.mean.relative": ("invalid tolerance -1", "use a number of at least 0"),
        "tolerances.mask.pixels": ("invalid tolerance 7", "use a number from 0 to 1"),
        "tolerances.mask.distance": (
            "not applicable to the type image",
            "expected one of: level, pixels, ignore",
        ),
        "tolerances.mask.ignore": ("expected true or false, got 1", "use true"),
        "tolerances.word.absolute": ("not applicable to the type string", "expected one of: ignore"),
    }
