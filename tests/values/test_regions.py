"""The geometry next to an image: `image.geojson`, checked and written as App Engine does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localrun import values
from localrun.descriptor.types import Notes
from localrun.values import FileValue, ProvisionedInputs
from localrun.values.region_names import parse_region_name
from localrun.values.regions import read_region
from tests.support.descriptors import make, parameter
from tests.support.image_files import png
from tests.values.test_parsing import lay, refused, tree

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 0]]]}
IMAGES = {"id": "array", "subtype": "image"}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "scan.png"
    path.write_bytes(png(9, 7))
    return path


@pytest.fixture
def roi(tmp_path: Path) -> Path:
    path = tmp_path / "roi.geojson"
    path.write_text(json.dumps({"type": "Feature", "properties": {"name": "a"}, "geometry": SQUARE}))
    return path


def assign(folder: Path, inputs: dict[str, Any], *pairs: str) -> ProvisionedInputs:
    described = make(inputs)
    assigned = values.parse_assignments(pairs, described)
    return values.provision(described, {}, folder / "in", assignments=assigned)


def test_a_region_is_written_next_to_its_image_as_a_bare_geometry(
    tmp_path: Path, image: Path, roi: Path
) -> None:
    found = assign(tmp_path, {"image": "image"}, f"image=@{image}", f"image.geojson=@{roi}")
    assert json.loads(tree(tmp_path / "in")["image.geojson"]) == SQUARE
    assert found.regions == {"image": SQUARE}
    assert found.values == {"image": str(image)}
    assert found.warnings == ()


@pytest.mark.parametrize("name", ["images/1.geojson", "images[1].geojson", "images.1.geojson"])
def test_an_item_of_an_array_has_a_region(tmp_path: Path, image: Path, roi: Path, name: str) -> None:
    pairs = (f"images=@{image}", f"images=@{image}", f"{name}=@{roi}")
    found = assign(tmp_path, {"images": IMAGES}, *pairs)
    assert found.regions == {"images/1": SQUARE}
    assert json.loads(tree(tmp_path / "in")["images/1.geojson"]) == SQUARE
    assert tree(tmp_path / "in")["images/array.yml"] == b"size: 2"


def test_a_region_can_be_given_as_text(tmp_path: Path, image: Path) -> None:
    found = assign(tmp_path, {"image": "image"}, f"image=@{image}", f"image.geojson={json.dumps(SQUARE)}")
    assert found.regions == {"image": SQUARE}


def test_an_image_object_in_json_has_a_file_and_a_region(tmp_path: Path, image: Path, roi: Path) -> None:
    one = {"file": f"@{image}", "region": f"@{roi}"}
    path = tmp_path / "inputs.json"
    path.write_text(json.dumps({"image": one, "images": [one, f"@{image}"]}))
    inputs = {"image": "image", "images": IMAGES}
    found = lay(tmp_path, inputs, values.load_values(path))
    assert found.regions == {"image": SQUARE, "images/0": SQUARE}

    again = assign(
        tmp_path / "again", inputs, f"image={json.dumps(one)}", f"images={json.dumps([one, f'@{image}'])}"
    )
    assert again.regions == found.regions


def test_paths_in_an_image_object_are_relative_to_the_file_that_holds_it(image: Path, roi: Path) -> None:
    path = image.parent / "inputs.json"
    path.write_text(json.dumps({"image": {"file": "@scan.png", "region": "@roi.geojson"}}))
    assert values.load_values(path) == {"image": {"file": FileValue(image), "region": FileValue(roi)}}


def test_a_region_can_be_an_object_in_json(tmp_path: Path, image: Path) -> None:
    found = lay(tmp_path, {"image": "image"}, {"image": {"file": image, "region": SQUARE}})
    assert found.regions == {"image": SQUARE}


def test_app_engines_form_of_an_array_holds_files_and_regions(tmp_path: Path, image: Path, roi: Path) -> None:
    items = [
        {"index": 1, "value": {"file": f"@{image}", "region": f"@{roi}"}},
        {"index": 0, "value": f"@{image}"},
    ]
    found = assign(tmp_path, {"images": IMAGES}, f"images={json.dumps(items)}")
    assert found.values == {"images": [str(image), str(image)]}
    assert found.regions == {"images/1": SQUARE}


def test_app_engines_form_of_an_array_holds_arrays_of_files(tmp_path: Path, image: Path) -> None:
    inner = [{"index": 0, "value": f"@{image}"}]
    kind = {"id": "array", "subtype": {**IMAGES, "min_size": 0, "max_size": 3}}
    found = assign(tmp_path, {"images": kind}, f"images={json.dumps([{'index': 0, 'value': inner}])}")
    assert found.values == {"images": [[str(image)]]}


@pytest.mark.parametrize("kind", ["integer", "geometry", "file", "string"])
def test_only_images_have_a_region(tmp_path: Path, roi: Path, kind: str) -> None:
    found = refused(assign, tmp_path, {"x": parameter(kind, optional=True)}, f"x.geojson=@{roi}")
    expected = f"inputs.x: inputs of type {kind} have no region; remove it: only images have regions"
    assert found == [expected]


def test_a_file_has_no_region_in_json_either(tmp_path: Path, image: Path) -> None:
    found = refused(lay, tmp_path, {"f": "file"}, {"f": {"file": image, "region": SQUARE}})
    assert found == ["inputs.f: inputs of type file have no region; pass only the file, e.g. @FILE"]


def test_a_region_of_a_whole_array_is_refused(tmp_path: Path, image: Path, roi: Path) -> None:
    found = refused(assign, tmp_path, {"images": IMAGES}, f"images=@{image}", f"images.geojson=@{roi}")
    assert found == [
        "inputs.images: a region belongs to one image, not to an array; name the image, e.g. images[0]"
    ]


def test_a_region_without_its_image_is_refused(tmp_path: Path, image: Path, roi: Path) -> None:
    inputs = {"image": parameter("image", optional=True), "images": IMAGES}
    pairs = (f"images=@{image}", f"image.geojson=@{roi}", f"images/3.geojson=@{roi}")
    assert refused(assign, tmp_path, inputs, *pairs) == [
        "inputs.image: has a region, but is not set; set it with image=@FILE",
        "inputs.images/3: images has no item 3; it has 1, from 0",
    ]


def test_a_region_of_a_missing_image_is_one_problem(tmp_path: Path, roi: Path) -> None:
    found = refused(assign, tmp_path, {"image": "image"}, f"image.geojson=@{roi}")
    assert found == ["inputs.image: missing required input; set it with image=@FILE"]


def test_a_region_that_is_set_twice_is_refused(tmp_path: Path, image: Path, roi: Path) -> None:
    pairs = (f"images=@{image}", f"images/0.geojson=@{roi}", f"images[0].geojson=@{roi}")
    found = refused(assign, tmp_path, {"images": IMAGES}, *pairs)
    assert found == ["inputs.images/0: the region is set twice; set it once"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"file": "@a.png", "regoin": 1}, "unknown key 'regoin'; did you mean 'region'?"),
        ({"region": SQUARE}, "missing key 'file'; pass e.g. "),
        ({"file": 3}, "expected a file, got 3 (integer); pass e.g. "),
    ],
)
def test_an_invalid_image_object_is_refused_with_its_keys(
    tmp_path: Path, value: dict[str, Any], problem: str
) -> None:
    found = refused(assign, tmp_path, {"image": "image"}, f"image={json.dumps(value)}")
    assert len(found) == 1
    assert found[0].startswith(f"inputs.image: {problem}")


def test_the_byte_order_mark_of_an_editor_is_ignored(tmp_path: Path, image: Path, roi: Path) -> None:
    roi.write_bytes(b"\xef\xbb\xbf" + json.dumps(SQUARE, indent=1).replace("\n", "\r\n").encode())
    found = assign(tmp_path, {"image": "image"}, f"image=@{image}", f"image.geojson=@{roi}")
    assert found.regions == {"image": SQUARE}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ('{"type": "Point", "coordinates": [NaN, 1]}', "NaN is not a number in JSON"),
        ('{"type": "Point", "coordinates": [1, -Infinity]}', "-Infinity is not a number in JSON"),
    ],
)
def test_an_unreadable_region_is_refused(
    tmp_path: Path, image: Path, roi: Path, text: str, problem: str
) -> None:
    roi.write_text(text)
    found = refused(assign, tmp_path, {"image": "image"}, f"image=@{image}", f"image.geojson=@{roi}")
    assert len(found) == 1
    assert problem in found[0]


def test_a_region_of_an_unknown_input_is_refused_with_a_suggestion(tmp_path: Path, image: Path) -> None:
    found = refused(assign, tmp_path, {"image": "image"}, f"image=@{image}", "imag.geojson=@x")
    assert found == ["inputs.imag: unknown input 'imag'; did you mean 'image'?"]


def test_a_region_is_validated_and_the_error_names_its_place(tmp_path: Path, image: Path) -> None:
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]}
    given = {"images": [{"file": image, "region": bow}]}
    (found,) = refused(lay, tmp_path, {"images": IMAGES}, given)
    assert found.startswith("inputs.images.0.region: invalid geometry: the polygon crosses")
    (found,) = refused(lay, tmp_path, {"image": "image"}, {"image": {"file": image, "region": "@no.geojson"}})
    assert "inputs.image.region: cannot open" in found


def test_unknown_keys_of_an_image_object_are_refused(tmp_path: Path, image: Path) -> None:
    (found,) = refused(lay, tmp_path, {"image": "image"}, {"image": {"file": image, "regoin": SQUARE}})
    assert "unknown key 'regoin'" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "invalid JSON"),
        ("[1, 2]", "expected a geometry, got"),
        ('{"type": "Feature", "geometry": null}', "the Feature has no geometry"),
        ('{"type": "FeatureCollection", "features": []}', "the FeatureCollection has 0 features, expected 1"),
        (
            '{"type": "GeometryCollection", "geometries": []}',
            "App Engine does not accept a GeometryCollection",
        ),
        ('{"type": "MultiPolygon", "coordinates": []}', "the region is empty"),
        (
            '{"type": "Feature", "properties": {"subType": "Circle", "radius": 3},'
            ' "geometry": {"type": "Point", "coordinates": [1, 1]}}',
            "a Circle cannot be a region",
        ),
    ],
)
def test_what_is_not_one_geometry_is_refused(text: str, message: str) -> None:
    notes = Notes("region")
    assert read_region(text, notes) is None
    assert [message in problem.message for problem in notes.problems] == [True]


def test_a_collection_of_one_feature_is_unwrapped_and_only_the_geometry_is_kept() -> None:
    feature = {"type": "Feature", "properties": {}, "geometry": {**SQUARE, "bbox": [0, 0, 4, 4]}}
    collection = {"type": "FeatureCollection", "features": [feature]}
    assert read_region(collection, Notes("region")) == SQUARE


def test_the_region_of_a_name_with_digits_and_dots_is_parsed() -> None:
    assert parse_region_name("images[2][0].geojson") == ("images", "images/2/0", "region")
    assert parse_region_name("image.crop") == ("image", "image", "crop")
    assert parse_region_name("image.png") is None
