"""Inputs from a folder, and regions next to images, from the command line to the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

from localrun.engines.fake import FakeContainer
from localrun.settings import Settings
from tests.cli.command import Command, Result
from tests.support.descriptors import as_json, parameter
from tests.support.environment import IMAGE
from tests.values.test_crop import polygon
from tests.values.test_input_folder import fill

INPUTS = {
    "image": "image",
    "images": parameter({"id": "array", "subtype": "image"}, optional=True),
    "size": parameter("integer", optional=True),
}
CELLS = parameter({"id": "array", "subtype": "geometry"}, dependencies={"derived_from": "inputs/image"})
OUTPUTS = {"cells": CELLS, "files": "string"}
RUN = ("--image", IMAGE, "--pull", "never")


def program(container: FakeContainer) -> int:
    """List the input folder, and write the corner of the image as a geometry."""
    root = container.path("/inputs")
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    container.path("/outputs/files").write_text(" ".join(names))
    cells = container.path("/outputs/cells")
    cells.mkdir()
    (cells / "array.yml").write_text("size: 1")
    (cells / "0").write_text(json.dumps({"type": "Point", "coordinates": [1, 2]}))
    return 0


@pytest.fixture
def pictures(localrun: Command) -> Command:
    """Return the command with a bundle that takes images, and a folder `inputs` next to it."""
    localrun.program = program
    localrun.bundle.write_text(json.dumps(as_json(INPUTS, OUTPUTS)))
    fill(localrun.folder, {"roi.geojson": json.dumps(polygon(2, 1, 6, 5)), "inputs/size": "3"})
    Pictures.fromarray(np.arange(63, dtype=np.uint8).reshape(7, 9)).save(
        localrun.folder / "inputs/image", format="PNG"
    )
    return localrun


def _describe(localrun: Command, inputs: dict[str, Any], origin: str) -> None:
    """Give the bundle other inputs; its two cells are derived from `origin`."""

    def write_cells(container: FakeContainer) -> int:
        program(container)
        cells = container.path("/outputs/cells")
        (cells / "array.yml").write_text("size: 2")
        (cells / "1").write_text((cells / "0").read_text())
        return 0

    cells = {**CELLS, "dependencies": {"derived_from": f"inputs/{origin}"}}
    localrun.bundle.write_text(json.dumps(as_json(inputs, {"cells": cells, "files": "string"})))
    localrun.program = write_cells


def run(localrun: Command, *arguments: object) -> Result:
    return localrun("run", localrun.bundle, *RUN, *arguments)


def record(localrun: Command) -> dict[str, object]:
    found: dict[str, object] = localrun("status", "last", "--json").json
    return found


def test_a_folder_gives_all_inputs(pictures: Command) -> None:
    result = run(pictures, "--inputs", pictures.folder / "inputs", "--json")
    assert result.code == 0, result.err
    assert result.json["inputs"] == {"image": str(pictures.folder / "inputs/image"), "size": 3}
    assert result.json["warnings"] == []


def test_an_option_overrides_the_folder_with_its_region(pictures: Command) -> None:
    inputs = pictures.folder / "inputs"
    fill(inputs, {"image.geojson": json.dumps(polygon(0, 0, 1, 1))})
    other = pictures.folder / "other.png"
    other.write_bytes((inputs / "image").read_bytes())
    result = run(pictures, "--inputs", inputs, "-i", "size=4", "-i", f"image=@{other}", "--json")
    assert result.json["inputs"] == {"image": str(other), "size": 4}
    assert "regions" not in result.json


def test_only_the_region_of_the_folder_is_overridden(pictures: Command) -> None:
    inputs = pictures.folder / "inputs"
    fill(inputs, {"image.geojson": json.dumps(polygon(0, 0, 1, 1))})
    result = run(
        pictures, "--inputs", inputs, "-i", f"image.geojson=@{pictures.folder / 'roi.geojson'}", "--json"
    )
    assert result.json["regions"] == {"image": polygon(2, 1, 6, 5)}


@pytest.mark.parametrize(
    "given",
    [
        {"image": "@inputs/image", "image.geojson": polygon(0, 0, 2, 2)},
        {"image": {"file": "@inputs/image", "region": polygon(0, 0, 2, 2)}},
    ],
)
def test_a_crop_overrides_the_region_of_a_file(pictures: Command, given: dict[str, Any]) -> None:
    file = pictures.folder / "inputs.json"
    file.write_text(json.dumps(given))
    roi = pictures.folder / "roi.geojson"
    found = run(pictures, "--inputs", file, "--region", f"image=@{roi}", "--json").json
    assert found["regions"] == {"image": polygon(0, 0, 4, 4)}


def test_unknown_files_are_a_warning_if_nothing_is_missing(pictures: Command) -> None:
    fill(pictures.folder / "inputs", {"sise": "3"})
    result = run(pictures, "--inputs", pictures.folder / "inputs")
    assert result.code == 0
    assert "warning inputs: 'sise' in " in result.err
    assert "did you mean 'size'?" in result.err


def test_unknown_files_are_an_error_if_a_required_input_is_missing(pictures: Command) -> None:
    inputs = pictures.folder / "inputs"
    (inputs / "image").rename(inputs / "image.png")
    result = run(pictures, "--inputs", inputs)
    assert result.code == 3
    assert "inputs.image: missing required input" in result.err
    assert "'image.png' in " in result.err
    assert "name it 'image', without an extension" in result.err

    # and it is a warning again when the option gives the input
    assert run(pictures, "--inputs", inputs, "-i", f"image=@{inputs / 'image.png'}").code == 0


def test_all_problems_of_a_folder_are_reported_together(pictures: Command) -> None:
    fill(pictures.folder / "inputs", {"size": "many", "size.geojson": "{}", "images/0": "x", "images/2": "x"})
    result = run(pictures, "--inputs", pictures.folder / "inputs", "-i", "sizes=3")
    assert result.code == 3
    for text in ("inputs.sizes: unknown input", "have no region", "inputs.images.1: missing item"):
        assert text in result.err


def test_a_file_of_values_is_still_read(pictures: Command) -> None:
    path = pictures.folder / "inputs.json"
    path.write_text(json.dumps({"image": {"file": "@inputs/image", "region": "@roi.geojson"}}))
    result = run(pictures, "--inputs", path, "--json")
    assert result.json["regions"] == {"image": polygon(2, 1, 6, 5)}
    assert result.json["outputs"]["files"] == "image image.geojson"


def test_a_region_is_shown_everywhere(pictures: Command) -> None:
    inputs, roi = pictures.folder / "inputs", pictures.folder / "roi.geojson"
    assert run(pictures, "--inputs", inputs, "-i", f"image.geojson=@{roi}").code == 0
    assert record(pictures)["regions"] == {"image": polygon(2, 1, 6, 5)}
    assert "regions     image: Polygon from (2, 1) to (6, 5)" in pictures("status", "last").out
    assert pictures("describe", "last", "--json").json["regions"] == {"image": polygon(2, 1, 6, 5)}
    assert "Regions:\n  image: Polygon from (2, 1) to (6, 5)" in pictures("describe", "last").out
    exported = pictures.folder / "exported.json"
    pictures("export", exported)
    assert '"regions":{"image"' in exported.read_text().replace(" ", "")


def test_a_crop_has_the_pixels_and_the_geometry_of_the_platform(pictures: Command) -> None:
    image, roi = pictures.folder / "inputs/image", pictures.folder / "roi.geojson"
    result = run(pictures, "-i", f"image=@{image}", "--region", f"image=@{roi}", "--json")
    assert result.code == 0, result.err
    assert result.json["outputs"]["files"] == "image image.geojson"
    assert result.json["inputs"] == {"image": str(image)}
    assert result.json["regions"] == {"image": polygon(0, 0, 4, 4)}
    assert result.json["crops"]["image"]["offset"] == [2, 1]
    inputs = Path(result.json["folder"]) / "inputs"
    assert np.array_equal(np.asarray(Pictures.open(inputs / "image")), np.arange(63).reshape(7, 9)[2:6, 2:6])
    shown = "image: Polygon from (0, 0) to (4, 4); cropped to 4 x 4 pixels at (2, 1) of image"
    assert shown in pictures("status", "last").out


def test_an_item_of_an_array_is_cropped(pictures: Command) -> None:
    image, roi = pictures.folder / "inputs/image", pictures.folder / "roi.geojson"
    given = ("-i", f"image=@{image}", "-i", f"images=@{image}", "-i", f"images=@{image}")
    result = run(pictures, *given, "--region", f"images[1]=@{roi}", "--json")
    assert list(result.json["crops"]) == ["images/1"]
    assert "images/1.geojson" in result.json["outputs"]["files"]


@pytest.mark.parametrize(
    ("region", "code", "message"),
    [
        ("image", 2, "'image' is not IMAGE=@FILE"),
        ("size=@roi.geojson", 3, "inputs of type integer have no region"),
        ("images[4]=@roi.geojson", 3, "has a region, but is not set"),
        ("image=@gone.geojson", 3, "inputs.image.region: cannot open"),
        ("picture=@roi.geojson", 3, "inputs.picture: unknown input 'picture'"),
    ],
)
def test_an_impossible_crop_is_refused(
    pictures: Command, monkeypatch: pytest.MonkeyPatch, region: str, code: int, message: str
) -> None:
    monkeypatch.chdir(pictures.folder)
    result = run(pictures, "--inputs", "inputs", "--region", region)
    assert result.code == code
    assert message in result.err


def test_a_region_and_a_crop_exclude_each_other(pictures: Command) -> None:
    roi = pictures.folder / "roi.geojson"
    given = ("-i", f"image.geojson=@{roi}", "--region", f"image=@{roi}")
    assert "has both a region and a crop" in run(pictures, "--inputs", pictures.folder / "inputs", *given).err


class TestRerun:
    def test_regions_are_kept(self, pictures: Command) -> None:
        inputs, roi = pictures.folder / "inputs", pictures.folder / "roi.geojson"
        run(pictures, "--inputs", inputs, "-i", f"image.geojson=@{roi}")
        result = pictures("rerun", "last", "-i", "size=9", "--json")
        assert result.json["inputs"]["size"] == 9
        assert result.json["regions"] == {"image": polygon(2, 1, 6, 5)}

    def test_a_region_is_replaced(self, pictures: Command) -> None:
        inputs, roi = pictures.folder / "inputs", pictures.folder / "roi.geojson"
        run(pictures, "--inputs", inputs, "--region", f"image=@{roi}")
        other = json.dumps(polygon(0, 0, 2, 2))
        assert pictures("rerun", "last", "--region", f"image={other}", "--json").json["crops"]["image"][
            "size"
        ] == [2, 2]
        kept = pictures("rerun", "last", "-i", f"image.geojson={other}", "--json").json
        assert (kept["regions"], "crops" in kept) == ({"image": polygon(0, 0, 2, 2)}, False)

    def test_an_image_is_cropped_again(self, pictures: Command) -> None:
        image, roi = pictures.folder / "inputs/image", pictures.folder / "roi.geojson"
        first = run(pictures, "-i", f"image=@{image}", "--region", f"image=@{roi}", "--json").json
        assert pictures("rerun", "last", "--json").json["crops"] == first["crops"]

        # also when the whole image is gone: from the crop of the task
        image.unlink()
        again = pictures("rerun", "last", "--json").json
        assert (again["crops"], again["regions"]) == (first["crops"], first["regions"])

    def test_a_folder_replaces_inputs(self, pictures: Command) -> None:
        run(pictures, "--inputs", pictures.folder / "inputs")
        fill(pictures.folder / "more", {"size": "7"})
        result = pictures("rerun", "last", "--inputs", pictures.folder / "more", "--json")
        assert result.json["inputs"] == {"image": str(pictures.folder / "inputs/image"), "size": 7}

    def test_diff_shows_different_regions(self, pictures: Command) -> None:
        inputs, roi = pictures.folder / "inputs", pictures.folder / "roi.geojson"
        first = run(pictures, "--inputs", inputs, "--json").json["id"]
        second = run(pictures, "--inputs", inputs, "-i", f"image.geojson=@{roi}", "--json").json["id"]
        assert "image.geojson" in pictures("diff", first, second).out


def test_replicas_have_the_region(pictures: Command) -> None:
    inputs, roi = pictures.folder / "inputs", pictures.folder / "roi.geojson"
    assert run(pictures, "--inputs", inputs, "-i", f"image.geojson=@{roi}", "--replicas", "2").code == 0
    result = pictures("describe", "last", "--json").json
    replica = next(one["task"] for one in result["containers"] if "task" in one)
    assert pictures("status", replica, "--json").json["regions"] == {"image": polygon(2, 1, 6, 5)}


class TestCopies:
    """`localrun inputs -o` and `--in-image`."""

    def test_the_inputs_of_a_task_are_copied_as_a_folder_that_runs_it_again(self, pictures: Command) -> None:
        image, roi = pictures.folder / "inputs/image", pictures.folder / "roi.geojson"
        given = ("-i", f"image=@{image}", "-i", f"images=@{image}", "-i", "size=3")
        first = run(pictures, *given, "-i", f"image.geojson=@{roi}", "--json").json
        folder = pictures.folder / "copy/inputs"

        result = pictures("inputs", "last", "-o", folder)
        assert result.code == 0, result.err
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
        assert names == ["image", "image.geojson", "images/0", "images/array.yml", "size"]
        assert (folder / "image").read_bytes() == image.read_bytes()
        assert f"image: {folder / 'image'}" in result.out

        again = run(pictures, "--inputs", folder, "--json").json
        assert (again["regions"], again["inputs"]["size"]) == (first["regions"], 3)

    def test_files_of_the_folder_that_are_not_from_the_task_are_a_warning(self, pictures: Command) -> None:
        run(pictures, "--inputs", pictures.folder / "inputs")
        folder = fill(pictures.folder / "copy", {"image": "old", "image.geojson": "{}", ".hidden": ""})
        result = pictures("inputs", "last", "-o", folder)
        assert f"warning: {folder} also has files that are not from this task: image.geojson" in result.err
        assert (folder / "image").read_bytes() == (pictures.folder / "inputs/image").read_bytes()

    def test_a_geometry_is_equal_to_its_copy_in_a_file(self, pictures: Command) -> None:
        inputs = {"at": "geometry", "all": {"id": "array", "subtype": "geometry"}}
        _describe(pictures, inputs, "at")
        point = '{"type": "Point", "coordinates": [1.5, 2]}'
        run(pictures, "-i", f"at={point}", "-i", f"all=[{point}]")
        folder = pictures.folder / "copy"
        assert pictures("inputs", "last", "-o", folder).code == 0
        run(pictures, "--inputs", folder)
        first, second = (one["id"] for one in pictures("list", "--json").json)
        compared = pictures("diff", first, second, "--json").json
        assert [one for one in compared["differences"] if one["section"] == "inputs"] == []
        run(pictures, "--inputs", folder, "-i", f"at={point.replace('1.5', '1')}")
        compared = pictures("diff", "last", first, "--json").json
        assert [one["path"] for one in compared["differences"] if one["section"] == "inputs"] == ["at"]

    def test_inputs_are_shown(self, pictures: Command) -> None:
        roi = pictures.folder / "roi.geojson"
        run(pictures, "--inputs", pictures.folder / "inputs", "-i", f"image.geojson=@{roi}")
        lines = pictures("inputs", "last").out.splitlines()
        assert "size: 3" in lines
        assert lines[-1] == "region of image: Polygon from (2, 1) to (6, 5)"
        assert pictures("inputs", "last", "--json").json["regions"] == {"image": polygon(2, 1, 6, 5)}

    def test_a_file_that_is_gone_is_an_error_and_the_others_are_copied(self, pictures: Command) -> None:
        run(pictures, "--inputs", pictures.folder / "inputs")
        (pictures.folder / "inputs/image").unlink()
        copied = pictures.folder / "copy"
        result = pictures("inputs", "last", "-o", copied)
        if result.code:  # the file was mounted, not cloned
            assert f"inputs.image: {pictures.folder / 'inputs/image'} does not exist" in result.err
        assert (copied / "size").read_text() == "3"
        assert not [path for path in copied.iterdir() if "localrun-tmp" in path.name]

    def test_a_manual_task_has_no_inputs(self, pictures: Command) -> None:
        app = pictures.app(Settings(home=pictures.folder / "home", ledger=pictures.folder / "l.json"))
        app.manager.create_task({"text": "x"})
        app.close()
        result = pictures("inputs", "last", "-o", pictures.folder / "copy")
        assert result.code != 0
        assert "has no container" in result.err

    @pytest.mark.parametrize("when", ["run", "outputs"])
    def test_geometries_are_moved_back_into_the_whole_image(self, pictures: Command, when: str) -> None:
        image, roi = pictures.folder / "inputs/image", pictures.folder / "roi.geojson"
        target = ("-o", pictures.folder / "out", "--in-image")
        given = ("-i", f"image=@{image}", "--region", f"image=@{roi}")
        run(pictures, *given, *(target if when == "run" else ()))
        if when == "outputs":
            assert pictures("outputs", "last", *target).code == 0
        moved = json.loads((pictures.folder / "out/cells/0").read_text())
        # the program wrote (1, 2) in the crop, whose lower left corner is (2, 1)
        assert moved == {"type": "Point", "coordinates": [3, 3]}
        kept = Path(pictures("status", "last", "--json").json["folder"]) / "outputs/cells/0"
        assert json.loads(kept.read_text())["coordinates"] == [1, 2]

    def test_geometries_of_an_uncropped_image_are_not_moved(self, pictures: Command) -> None:
        run(pictures, "--inputs", pictures.folder / "inputs", "-o", pictures.folder / "out", "--in-image")
        assert json.loads((pictures.folder / "out/cells/0").read_text())["coordinates"] == [1, 2]

    def test_geometries_of_a_single_image_of_an_array_are_moved(self, pictures: Command) -> None:
        _describe(pictures, {"images": parameter({"id": "array", "subtype": "image"})}, "images")
        image, roi = pictures.folder / "inputs/image", pictures.folder / "roi.geojson"
        given = ("-i", f"images=@{image}", "--region", f"images[0]=@{roi}")
        result = run(pictures, *given, "-o", pictures.folder / "out", "--in-image")
        assert json.loads((pictures.folder / "out/cells/1").read_text())["coordinates"] == [3, 3]
        assert "was not moved" not in result.err

    def test_geometries_of_an_unknown_image_are_not_moved(self, pictures: Command) -> None:
        _describe(pictures, {"images": parameter({"id": "array", "subtype": "image"})}, "images")
        image, roi = pictures.folder / "inputs/image", pictures.folder / "roi.geojson"
        given = (*["-i", f"images=@{image}"] * 3, "--region", f"images[0]=@{roi}")
        result = run(pictures, *given, "-o", pictures.folder / "out", "--in-image")
        assert json.loads((pictures.folder / "out/cells/0").read_text())["coordinates"] == [1, 2]
        assert "cells was not moved: it is not known which image it belongs to" in result.err

    def test_geometries_derived_from_a_geometry_of_the_image_are_moved(self, pictures: Command) -> None:
        point = parameter("geometry", optional=True, dependencies={"derived_from": "inputs/image"})
        _describe(pictures, {"image": "image", "other": parameter("image", optional=True), "at": point}, "at")
        image, roi = pictures.folder / "inputs/image", pictures.folder / "roi.geojson"
        given = ("-i", f"image=@{image}", "-i", f"other=@{image}", "--region", f"image=@{roi}")
        run(pictures, *given, "-o", pictures.folder / "out", "--in-image")
        assert json.loads((pictures.folder / "out/cells/0").read_text())["coordinates"] == [3, 3]

    def test_an_unknown_offset_is_a_warning(self, pictures: Command) -> None:
        roi = pictures.folder / "roi.geojson"
        given = ("--inputs", pictures.folder / "inputs", "-i", f"image.geojson=@{roi}")
        result = run(pictures, *given, "-o", pictures.folder / "out", "--in-image")
        assert "cells was not moved: " in result.err

    def test_moving_needs_a_folder_for_the_copies(self, pictures: Command) -> None:
        run(pictures, "--inputs", pictures.folder / "inputs")
        assert pictures("outputs", "last", "--in-image").code == 2
        assert run(pictures, "--inputs", pictures.folder / "inputs", "--in-image").code == 2


@pytest.mark.parametrize("name", ["images[-1]", "image.geojson", "images[]", "=", ""])
def test_a_region_of_an_invalid_name_is_a_usage_error(pictures: Command, name: str) -> None:
    result = run(pictures, "-i", "image=@inputs/image", "--region", f"{name}=@roi.geojson")
    assert result.code == 2
    assert "is not IMAGE=@FILE; expected e.g. image=@annotation.geojson or images[0]=" in result.err


def test_a_region_can_be_named_as_errors_name_it(pictures: Command) -> None:
    image, roi = pictures.folder / "inputs/image", pictures.folder / "roi.geojson"
    given = ("-i", f"image=@{image}", "-i", f"images=@{image}", "--region", f"images.0=@{roi}")
    assert run(pictures, *given, "--json").json["regions"] == {"images/0": polygon(0, 0, 4, 4)}


@pytest.mark.parametrize("option", ["--inputs", "-o"])
def test_an_empty_path_is_not_the_working_directory(pictures: Command, option: str) -> None:
    result = run(pictures, option, "")
    assert result.code == 2
    assert "the path is empty" in result.err
