"""A folder of inputs in App Engine's layout is read like any other values."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from localrun import values
from localrun.values import FileValue, read_folder
from localrun.values.input_folder import FolderInputs
from tests.support.descriptors import make, parameter
from tests.support.image_files import dicom, png
from tests.values.test_parsing import lay, refused, tree

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
IMAGES = {"id": "array", "subtype": "image"}
POINT = '{"type": "Point", "coordinates": [1, 2]}'


def fill(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(folder: Path, inputs: dict[str, Any]) -> FolderInputs:
    return read_folder(folder, make(inputs))


def test_every_type_is_read_from_the_layout_of_app_engine(tmp_path: Path) -> None:
    # Given a folder as repositories ship it
    files: dict[str, str | bytes] = {
        "image": png(),
        "image.geojson": json.dumps(SQUARE),
        "images/0": png(),
        "images/1": png(),
        "images/1.geojson": json.dumps(SQUARE),
        "images/array.yml": "size: 2\n",
        "points/0": POINT,
        "size": "3\n",
        "grid/0/0": "1",
        "grid/0/1": "2",
        "grid/1/array.yml": "size: 0",
        ".gitkeep": "",
        "images/.DS_Store": "x",
    }
    folder = fill(tmp_path / "inputs", files)
    inner = {"id": "array", "subtype": "integer", "min_size": 0, "max_size": 9}
    kinds = {
        "image": "image",
        "images": IMAGES,
        "points": {"id": "array", "subtype": "geometry"},
        "size": "number",
        "grid": {"id": "array", "subtype": inner},
        "mode": parameter("string", optional=True),
    }

    # When it is read and its values are validated
    found = read(folder, kinds)
    laid = lay(tmp_path, kinds, found.values)

    # Then the task gets the same values and regions
    assert (found.problems, found.unknown) == ((), ())
    assert laid.values["size"] == 3
    assert laid.values["grid"] == [[1, 2], []]
    assert laid.values["image"] == str(folder / "image")
    assert laid.regions == {"image": SQUARE, "images/1": SQUARE}
    assert tree(tmp_path / "in")["images/array.yml"] == b"size: 2"


def test_values_in_a_folder_are_validated(tmp_path: Path) -> None:
    folder = fill(tmp_path / "inputs", {"size": "many", "image": "text"})
    kinds = {"size": "integer", "image": "image"}
    found = refused(lay, tmp_path, kinds, read(folder, kinds).values)
    assert [problem.split(":")[0] for problem in found] == ["inputs.size", "inputs.image"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("image.png", "name it 'image', without an extension"),
        ("Image", "did you mean 'image'?"),
        ("imagee", "did you mean 'image'?"),
        ("imge.geojson", "did you mean 'image.geojson'?"),
        ("README.md", "expected one of: image, images"),
        ("images.png", "put the items into a folder: images/0, images/1, ..."),
        ("inputs/image", "pass that folder: --inputs "),
    ],
)
def test_a_file_that_is_no_input_is_reported_with_a_suggestion(
    tmp_path: Path, name: str, remedy: str
) -> None:
    folder = fill(tmp_path / "given", {name: "x"})
    (problem,) = read(folder, {"image": "image", "images": IMAGES}).unknown
    assert problem.message == f"{name.split('/', maxsplit=1)[0]!r} in {folder} is not an input"
    assert problem.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("0.png", "name it '0', without an extension"),
        ("a.png", "name the items 0, 1, 2, ..., or remove it"),
        ("1.geojson", "a region needs its image '1'"),
    ],
)
def test_a_file_that_is_no_item_is_reported(tmp_path: Path, name: str, remedy: str) -> None:
    found = read(fill(tmp_path, {f"images/{name}": "x"}), {"images": IMAGES})
    assert "images" not in found.values
    assert [problem.remedy for problem in found.unknown] == [remedy]


def test_many_unknown_files_are_folded(tmp_path: Path) -> None:
    found = read(fill(tmp_path, {f"file{n}": "x" for n in range(30)}), {"image": "image"})
    assert len(found.unknown) == 21
    assert found.unknown[-1].message == "10 more files like these"


@pytest.mark.parametrize("kind", ["number", "geometry"])
def test_a_region_of_anything_but_an_image_is_an_error(tmp_path: Path, kind: str) -> None:
    found = read(fill(tmp_path, {"x": POINT, "x.geojson": POINT}), {"x": kind})
    assert [problem.message for problem in found.problems] == [
        f"inputs of type {kind} have no region, found {tmp_path / 'x.geojson'}"
    ]


def test_items_of_geometries_may_have_their_extension(tmp_path: Path) -> None:
    kinds = {"points": {"id": "array", "subtype": "geometry"}}
    found = read(fill(tmp_path, {"points/0.geojson": POINT, "points/1": POINT}), kinds)
    paths = [FileValue(tmp_path / "points/0.geojson"), FileValue(tmp_path / "points/1")]
    assert found == FolderInputs({"points": paths})
    both = read(fill(tmp_path, {"points/0": POINT}), kinds)
    assert "inputs of type geometry have no region" in both.problems[0].message


def test_gaps_and_a_wrong_size_are_errors(tmp_path: Path) -> None:
    found = read(
        fill(tmp_path, {"xs/0": "1", "xs/2": "3", "xs/array.yml": "size: 3"}), {"xs": _of("integer")}
    )
    assert [str(problem).partition(";")[0] for problem in found.problems] == [
        "inputs.xs.1: missing item",
        "inputs.xs.array.yml: size is 3, but the folder has 2 items",
    ]


def test_an_array_must_be_a_folder(tmp_path: Path) -> None:
    found = read(fill(tmp_path, {"xs": "[1]"}), {"xs": _of("integer")})
    assert found.problems[0].message == f"expected a folder with the items, got the file {tmp_path / 'xs'}"


def test_a_slide_is_a_folder(tmp_path: Path) -> None:
    folder = fill(tmp_path, {"image/a.dcm": "x", "images/0/a.dcm": "x"})
    assert read(folder, {"image": "image", "images": IMAGES}).values == {
        "image": FileValue(folder / "image"),
        "images": [FileValue(folder / "images/0")],
    }


def _of(kind: str) -> dict[str, Any]:
    return {"id": "array", "subtype": kind}


class TestFolderOfItems:
    """`-i images=@FOLDER` uses the same reader."""

    def read(self, tmp_path: Path, kind: Any) -> Any:
        described = make({"xs": kind})
        assigned = values.parse_assignments([f"xs=@{tmp_path / 'given'}"], described)
        return values.provision(described, {}, tmp_path / "in", assignments=assigned)

    def test_metadata_and_regions_are_not_taken_for_items(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {"0": png(), "1": png(), "array.yml": "size: 2"}
        fill(tmp_path / "given", {**files, "0.geojson": json.dumps(SQUARE)})
        found = self.read(tmp_path, IMAGES)
        assert found.values == {"xs": [str(tmp_path / "given" / name) for name in "01"]}
        assert found.regions == {"xs/0": SQUARE}

    def test_ten_items_are_in_numeric_order(self, tmp_path: Path) -> None:
        fill(tmp_path / "given", {str(n): str(n) for n in range(11)})
        assert self.read(tmp_path, _of("integer")).values == {"xs": list(range(11))}

    @pytest.mark.parametrize("region", ["b.geojson", "b.png.geojson"])
    def test_files_with_other_names_are_items_in_natural_order(self, tmp_path: Path, region: str) -> None:
        fill(
            tmp_path / "given",
            {"a10.png": png(), "b.png": png(), region: json.dumps(SQUARE), "a2.png": png()},
        )
        found = self.read(tmp_path, IMAGES)
        assert [Path(path).name for path in found.values["xs"]] == ["a2.png", "a10.png", "b.png"]
        assert found.regions == {"xs/2": SQUARE}

    def test_other_files_next_to_items_are_warned_of(self, tmp_path: Path) -> None:
        fill(tmp_path / "given", {"0": "1", "notes.txt": "x"})
        (warning,) = self.read(tmp_path, _of("integer")).warnings
        assert warning.startswith("inputs.xs: 'notes.txt' in ")

    def test_slides_with_other_names_are_items_too(self, tmp_path: Path) -> None:
        fill(tmp_path / "given", {"b/x.dcm": dicom(), "a/x.dcm": dicom()})
        found = self.read(tmp_path, IMAGES)
        assert [Path(path).name for path in found.values["xs"]] == ["a", "b"]

    def test_nothing_in_the_folder_is_ignored(self, tmp_path: Path) -> None:
        fill(tmp_path / "given", {"a.txt": "a", "sub/b.txt": "b"})
        found = self.read(tmp_path, _of("file"))
        assert [Path(path).name for path in found.values["xs"]] == ["a.txt"]
        (warning,) = found.warnings
        assert "'sub' in " in warning
        assert warning.endswith("is not an input; move its files to the folder above, or remove it")

    def test_a_region_without_an_image_of_its_name_is_reported(self, tmp_path: Path) -> None:
        fill(tmp_path / "given", {"a.png": png(), "b.geojson": json.dumps(SQUARE)})
        (warning,) = self.read(tmp_path, IMAGES).warnings
        assert warning.endswith("is not an input; a region needs an image of the same name")

    def test_a_folder_without_any_item_is_an_error(self, tmp_path: Path) -> None:
        fill(tmp_path / "given", {"b.geojson": json.dumps(SQUARE)})
        (found,) = refused(self.read, tmp_path, IMAGES)
        assert "'b.geojson' in " in found

    def test_a_folder_without_items_is_refused_for_values(self, tmp_path: Path) -> None:
        fill(tmp_path / "given", {"notes.txt": "x"})
        (found,) = refused(self.read, tmp_path, _of("integer"))
        assert "without items; name the items 0, 1, ..." in found


def test_a_pipe_is_never_read(tmp_path: Path) -> None:
    folder = fill(tmp_path, {"images/0": png()})
    os.mkfifo(folder / "images/array.yml")
    found = read(folder, {"images": IMAGES})
    assert [str(problem) for problem in found.problems] == [
        f"inputs.images.array.yml: {folder / 'images/array.yml'} is not a file; remove it"
    ]


def test_a_dangling_link_names_its_target(tmp_path: Path) -> None:
    (tmp_path / "size").symlink_to("../gone")
    found = refused(lay, tmp_path, {"size": "integer"}, read(tmp_path, {"size": "integer"}).values)
    assert found == [
        f"inputs.size: '{tmp_path / 'size'}' is a link to ../gone, which does not exist; "
        "replace the link with the file"
    ]


def test_a_folder_of_files_for_nested_arrays_is_reported_without_consequences(tmp_path: Path) -> None:
    folder = fill(tmp_path, {"flat/0": png(), "flat/1": png()})
    found = refused(
        lay, tmp_path, {"images": {"id": "array", "subtype": IMAGES}}, {"images": folder / "flat"}
    )
    assert [line.partition(", got")[0] for line in found] == [
        "inputs.images.0: expected a folder with the items",
        "inputs.images.1: expected a folder with the items",
    ]


def test_an_inner_folder_without_items_is_an_error(tmp_path: Path) -> None:
    folder = fill(tmp_path, {"images/0/a.png": png()})
    found = read(folder, {"images": {"id": "array", "subtype": IMAGES}})
    assert [str(problem) for problem in found.problems] == [
        f"inputs.images.0: no items in the folder {folder / 'images/0'}; name the items 0, 1, 2, ..."
    ]


@pytest.mark.parametrize(
    ("content", "value"), [("a\n", "a"), ("a\r\n", "a"), ("  a \n\n", "  a \n"), ("", ""), (" ", " ")]
)
def test_a_string_keeps_its_blanks_but_for_the_last_line_break(
    tmp_path: Path, content: str, value: str
) -> None:
    fill(tmp_path / "given", {"text": content, "texts/0": content})
    found = read(tmp_path / "given", {"text": "string", "texts": _of("string")})
    laid = lay(tmp_path, {"text": "string", "texts": _of("string")}, found.values)
    assert laid.values == {"text": value, "texts": [value]}
