"""Geometries that do not fit their image, or have defects, are reported once, with the first few places."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from localrun import values
from localrun.values import CollectedOutputs
from tests.support.descriptors import make, parameter
from tests.support.image_files import dicom, png, tiff
from tests.support.nuclei import polygon, scene

GEOMETRIES = {"id": "array", "subtype": "geometry"}
IMAGES = {"id": "array", "subtype": "image"}
NESTED = {"id": "array", "subtype": GEOMETRIES}
CONVERT = "write y = height - y"


def square(x: float, y: float, side: float = 2) -> str:
    return polygon([(x, y), (x + side, y), (x + side, y + side), (x, y + side)])


def write(path: Path, value: Any) -> None:
    """Write an output in App Engine's layout: a list as an array."""
    if isinstance(value, list):
        path.mkdir()
        (path / "array.yml").write_text(f"size: {len(value)}")
        for number, one in enumerate(value):
            write(path / str(number), one)
    else:
        path.write_bytes(value.encode() if isinstance(value, str) else value)


class Bench:
    """A task with an image of 100 x 80 pixels, whose outputs are collected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs = folder / "out"
        self.outputs.mkdir()
        self.image = self.file("image", png(100, 80))

    def file(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def collect(
        self,
        outputs: dict[str, tuple[Any, Any]],
        inputs: dict[str, tuple[Any, Any]] | None = None,
        regions: dict[str, Any] | None = None,
    ) -> CollectedOutputs:
        """Collect outputs that are given as their type and value; the inputs are one image by default."""
        inputs = {"image": ("image", self.image)} if inputs is None else inputs
        descriptor = make(
            {name: kind for name, (kind, _) in inputs.items()},
            {name: kind for name, (kind, _) in outputs.items()},
        )
        for name, (_, value) in outputs.items():
            write(self.outputs / name, value)
        given = {name: value for name, (_, value) in inputs.items() if value is not None}
        found = values.collect(descriptor, self.outputs, given, regions)
        assert found.problems == ()
        return found

    def warnings(
        self, outputs: dict[str, tuple[Any, Any]], inputs: dict[str, tuple[Any, Any]] | None = None
    ) -> Sequence[str]:
        return self.collect(outputs, inputs).warnings


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# -- outside of the image ---------------------------------------------------------------------------


def test_geometries_outside_the_image_are_counted_and_the_first_are_shown(bench: Bench) -> None:
    outlines = [square(10 * number, 10) for number in range(16)]

    assert bench.warnings({"nuclei": (GEOMETRIES, outlines)}) == (
        "outputs.nuclei: 6 of 16 geometries outside inputs.image (100 x 80 pixels): "
        "nuclei[10] (x 100 to 102, y 10 to 12), nuclei[11] (x 110 to 112, y 10 to 12), "
        "nuclei[12] (x 120 to 122, y 10 to 12) and 3 more",
    )


def test_a_single_geometry_outside_needs_no_place(bench: Bench) -> None:
    assert bench.warnings({"outline": ("geometry", square(10, -5))}) == (
        "outputs.outline: outside inputs.image (100 x 80 pixels): x 10 to 12, y -5 to -3",
    )


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [50, 200]},
        {"type": "LineString", "coordinates": [[1, 1], [101.5, 1]]},
        {"type": "MultiPoint", "coordinates": [[1, 1], [1, -2]]},
        {"type": "MultiLineString", "coordinates": [[[1, 1], [2, 2]], [[-9, 1], [2, 2]]]},
        {"type": "MultiPolygon", "coordinates": [json.loads(square(x, 5))["coordinates"] for x in (5, 150)]},
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [5, 40]},
            "properties": {"subType": "Circle", "radius": 10},
        },
    ],
    ids=lambda geometry: geometry["type"],
)
def test_every_type_of_geometry_is_compared_with_the_size_of_the_image(
    bench: Bench, geometry: dict[str, Any]
) -> None:
    (found,) = bench.warnings({"o": ("geometry", json.dumps(geometry))})

    assert found.startswith("outputs.o: outside inputs.image (100 x 80 pixels): x ")


def test_a_geometry_along_the_edge_of_the_image_is_inside(bench: Bench) -> None:
    edge = polygon([(-0.5, -0.5), (100.5, -0.5), (100.5, 80.5), (-0.5, 80.5)])

    assert bench.warnings({"o": ("geometry", edge)}) == ()


@pytest.mark.parametrize("data", [tiff(100, 80), dicom(100, 80)], ids=["tiff", "dicom"])
def test_the_size_is_read_from_the_header_of_every_format(bench: Bench, data: bytes) -> None:
    image = bench.file("other", data)

    found = bench.warnings({"o": ("geometry", square(200, 0))}, {"image": ("image", image)})

    assert "outside inputs.image (100 x 80 pixels)" in found[0]


def test_an_image_that_is_gone_or_broken_is_no_reason_to_fail(bench: Bench) -> None:
    gone, broken = str(bench.folder / "gone"), bench.file("broken", png(100, 80)[:60])

    for image in (gone, broken, bench.file("text", b"no image")):
        found = bench.warnings({"o": ("geometry", square(5, 5))}, {"image": ("image", image)})
        (bench.outputs / "o").unlink()
        assert found == ()


def test_a_task_without_an_image_has_nothing_to_compare_with(bench: Bench) -> None:
    assert bench.warnings({"o": ("geometry", square(-500, 5))}, {"n": ("integer", 3)}) == ()


def test_nothing_is_compared_where_the_image_is_ambiguous(bench: Bench) -> None:
    both = {"fixed": ("image", bench.image), "moving": ("image", bench.file("b", png(500, 500)))}

    assert bench.warnings({"o": ("geometry", square(300, 5))}, both) == ()


def test_derived_from_names_the_image(bench: Bench) -> None:
    both = {"fixed": ("image", bench.image), "moving": ("image", bench.file("b", png(500, 500)))}
    derived = parameter("geometry", dependencies={"derived_from": "inputs/fixed"})

    (found,) = bench.warnings({"o": (derived, square(300, 5))}, both)

    assert "outside inputs.fixed" in found


def test_an_inner_array_belongs_to_the_image_of_its_index(bench: Bench) -> None:
    images = [bench.image, bench.file("b", png(500, 500))]
    nuclei = [[square(5, 5), square(300, 5)], [square(300, 5), square(600, 5)]]

    (found,) = bench.warnings({"nuclei": (NESTED, nuclei)}, {"images": (IMAGES, images)})

    assert found == (
        "outputs.nuclei: 2 of 4 geometries outside their images (inputs.images[0] (100 x 80 pixels), "
        "inputs.images[1] (500 x 500 pixels)): nuclei[0][1] (x 300 to 302, y 5 to 7) and "
        "nuclei[1][1] (x 600 to 602, y 5 to 7)"
    )


def test_an_inner_array_without_an_image_is_reported(bench: Bench) -> None:
    nuclei = [[square(5, 5)], [square(5, 5), square(300, 5)]]

    assert bench.warnings({"nuclei": (NESTED, nuclei)}, {"images": (IMAGES, [bench.image])}) == (
        "outputs.nuclei: 2 of 3 geometries are in an array without an image: nuclei[1][0] and nuclei[1][1]",
    )


def test_an_array_that_matches_the_images_has_one_item_on_each(bench: Bench) -> None:
    images = [bench.image, bench.file("b", png(500, 500))]
    matching = parameter(
        GEOMETRIES, dependencies={"derived_from": "inputs/images", "matching": ["inputs/images"]}
    )

    (found,) = bench.warnings(
        {"tissue": (matching, [square(300, 5), square(300, 5)])}, {"images": (IMAGES, images)}
    )

    assert "1 of 2 geometries outside inputs.images[0]" in found


def test_all_items_belong_to_the_only_image_of_an_array(bench: Bench) -> None:
    (found,) = bench.warnings(
        {"nuclei": (GEOMETRIES, [square(5, 5), square(300, 5)])}, {"images": (IMAGES, [bench.image])}
    )

    assert "1 of 2 geometries outside inputs.images[0] (100 x 80 pixels): nuclei[1] " in found


def test_an_image_output_is_used_where_there_is_no_image_input(bench: Bench) -> None:
    (found,) = bench.warnings(
        {"mask": ("image", png(100, 80)), "o": ("geometry", square(300, 5))}, {"n": ("integer", 1)}
    )

    assert "outside outputs.mask" in found


# -- defects ----------------------------------------------------------------------------------------


def test_empty_repeated_and_duplicate_geometries_are_reported_by_index(bench: Bench) -> None:
    repeated = polygon([(5, 5), (9, 5), (9, 5), (9, 9)])
    empty = json.dumps({"type": "MultiPolygon", "coordinates": []})
    turned = polygon([(12, 22), (10, 22), (10, 20), (12, 20)])  # square(10, 20) from another corner
    items = [square(10, 20), repeated, empty, square(40, 40), turned, square(40, 40), square(40, 40)]

    assert bench.warnings({"nuclei": (GEOMETRIES, items)}) == (
        "outputs.nuclei: repeated points: nuclei[1]",
        "outputs.nuclei: empty: nuclei[2]",
        "outputs.nuclei: duplicates: nuclei[4] of nuclei[0], nuclei[5] of nuclei[3] and "
        "nuclei[6] of nuclei[3]",
    )


def test_defects_are_found_without_an_image_too_and_folded(bench: Bench) -> None:
    point = json.dumps({"type": "Point", "coordinates": [1, 2]})

    assert bench.warnings({"points": (GEOMETRIES, [point] * 20)}, {}) == (
        "outputs.points: duplicates: points[1] of points[0], points[2] of points[0], points[3] of points[0] "
        "and 16 more",
    )


def test_warnings_of_many_items_are_folded(bench: Bench) -> None:
    feature = {"type": "Feature", "properties": {"name": "a"}, "geometry": None}
    nuclei = [json.dumps({**feature, "geometry": json.loads(square(5 * n, 5))}) for n in range(9)]

    *shown, last = bench.warnings({"nuclei": (GEOMETRIES, nuclei)})

    assert [f"outputs.nuclei.{number}.properties: " in one for number, one in enumerate(shown)] == [True] * 3
    assert last == (
        "App Engine would refuse this: outputs.nuclei: nuclei[3], nuclei[4], nuclei[5] and 3 more: "
        "the same as nuclei[0]"
    )


def test_equal_outlines_on_different_images_are_no_duplicates(bench: Bench) -> None:
    images = [bench.image, bench.file("b", png(100, 80))]

    assert (
        bench.warnings({"nuclei": (NESTED, [[square(5, 5)], [square(5, 5)]])}, {"images": (IMAGES, images)})
        == ()
    )


def test_a_circle_of_another_radius_is_no_duplicate(bench: Bench) -> None:
    circles = [
        json.dumps(
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [40, 40]},
                "properties": {"subType": "Circle", "radius": radius},
            }
        )
        for radius in (3, 4, 3)
    ]

    assert bench.warnings({"o": (GEOMETRIES, circles)}) == ("outputs.o: duplicates: o[2] of o[0]",)


def test_many_invalid_geometries_are_folded_to_the_first_of_each_kind(bench: Bench) -> None:
    crossing = json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]})
    write(
        bench.outputs / "nuclei",
        [crossing, *[square(5 * number, 5) for number in range(5)], *[crossing] * 15],
    )

    found = values.collect(make({"image": "image"}, {"nuclei": GEOMETRIES}), bench.outputs)

    assert [(problem.path, problem.message) for problem in found.problems] == [
        *(
            (f"outputs.nuclei.{number}", "invalid geometry: the polygon crosses or touches itself at [1, 1]")
            for number in (0, 6, 7)
        ),
        ("outputs.nuclei", "nuclei[8], nuclei[9], nuclei[10] and 10 more: the same problem as nuclei[0]"),
    ]


# -- y counted from the top -------------------------------------------------------------------------


@pytest.fixture
def nuclei(bench: Bench) -> dict[bool, list[str]]:
    """Outlines on the image of the bench, in their right place and flipped."""
    image = scene(3, 25)
    bench.image = bench.file("image", image.png)
    return {flip: image.geometries(flip=flip) for flip in (False, True)}


def test_flipped_outlines_are_recognised_by_the_contrast_of_the_image(
    bench: Bench, nuclei: dict[bool, list[str]]
) -> None:
    assert bench.warnings({"nuclei": (GEOMETRIES, nuclei[True])}) == (
        "outputs.nuclei: y seems to be counted from the top: the geometries fit inputs.image only after "
        "flipping y; the origin of geometries is the bottom left of the image: write y = height - y "
        "(the height of inputs.image is 240 pixels)",
    )


def test_outlines_in_their_right_place_are_not_reported(bench: Bench, nuclei: dict[bool, list[str]]) -> None:
    assert bench.warnings({"nuclei": (GEOMETRIES, nuclei[False])}) == ()


def test_one_multipolygon_is_compared_like_an_array(bench: Bench, nuclei: dict[bool, list[str]]) -> None:
    for flip, count in ((False, 0), (True, 1)):
        parts = [json.loads(one)["coordinates"] for one in nuclei[flip]]
        found = bench.warnings(
            {f"o{count}": ("geometry", json.dumps({"type": "MultiPolygon", "coordinates": parts}))}
        )
        (bench.outputs / f"o{count}").unlink()
        assert sum(CONVERT in one for one in found) == count


def test_points_and_circles_are_compared_too(bench: Bench, nuclei: dict[bool, list[str]]) -> None:
    def centers(flip: bool) -> list[dict[str, Any]]:
        rings = [json.loads(one)["coordinates"][0][:-1] for one in nuclei[flip]]
        means = [[sum(point[axis] for point in ring) / len(ring) for axis in (0, 1)] for ring in rings]
        return [{"type": "Point", "coordinates": mean} for mean in means]

    circle = {"subType": "Circle", "radius": 6}
    for flip in (False, True):
        points = [json.dumps(one) for one in centers(flip)]
        circles = [
            json.dumps({"type": "Feature", "geometry": one, "properties": circle}) for one in centers(flip)
        ]
        found = bench.warnings({f"p{flip}": (GEOMETRIES, points), f"c{flip}": (GEOMETRIES, circles)})
        assert sum(CONVERT in one for one in found) == 2 * flip
        for name in (f"p{flip}", f"c{flip}"):
            (bench.outputs / name).rename(bench.folder / name)


def test_the_mask_of_the_task_shows_how_much_lies_on_its_objects(
    bench: Bench, nuclei: dict[bool, list[str]]
) -> None:
    # Given an image without contrast, and a mask among the outputs
    image = scene(3, 25, light=255, noise=0)
    mask = scene(3, 25, light=500, noise=0).pixels > 250
    bench.image = bench.file("image", png(320, 240))
    data = image._replace(pixels=mask * 255).png

    # When the outlines are flipped
    (found,) = bench.warnings({"mask": ("image", data), "nuclei": (GEOMETRIES, nuclei[True])})

    # Then the shares of their area on the objects of the mask are shown
    assert "% of their area is on the objects of outputs.mask, " in found
    assert CONVERT in found


def test_an_image_that_contradicts_the_mask_prevents_the_warning(
    bench: Bench, nuclei: dict[bool, list[str]]
) -> None:
    flipped_mask = scene(3, 25)
    data = flipped_mask._replace(pixels=flipped_mask.pixels[::-1]).png

    assert bench.warnings({"mask": ("image", data), "nuclei": (GEOMETRIES, nuclei[False])}) == ()


def test_each_image_of_an_array_is_compared_with_its_own_outlines(bench: Bench) -> None:
    scenes = [scene(seed, 20) for seed in range(3)]
    images = [bench.file(f"i{number}", one.png) for number, one in enumerate(scenes)]

    for flip in (False, True):
        items = [one.geometries(flip=flip) for one in scenes]
        found = bench.warnings({f"nuclei{flip}": (NESTED, items)}, {"images": (IMAGES, images)})
        (bench.outputs / f"nuclei{flip}").rename(bench.folder / f"nuclei{flip}")
        assert sum(CONVERT in one for one in found) == flip
        if flip:
            places = "inputs.images[0], inputs.images[1] and inputs.images[2]"
            assert f"y seems to be counted from the top (on {places})" in found[0]


def test_the_message_says_when_only_some_images_were_compared(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localrun.values.coordinates.check._MAX_SAMPLES", 1)
    scenes = [scene(seed, 20) for seed in range(3)]
    images = [bench.file(f"i{number}", one.png) for number, one in enumerate(scenes)]

    found = bench.warnings(
        {"nuclei": (NESTED, [one.geometries(flip=True) for one in scenes])}, {"images": (IMAGES, images)}
    )

    assert "(compared 1 of 3 images)" in found[0]


def test_the_message_says_when_only_some_geometries_were_compared(
    bench: Bench, nuclei: dict[bool, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localrun.values.coordinates.check._MAX_DRAWN", 20 * 25)

    (found,) = bench.warnings({"nuclei": (GEOMETRIES, nuclei[True])})

    assert "(compared 20 of 25 geometries)" in found


def test_what_is_beyond_the_limit_of_points_is_reported_as_not_checked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localrun.values.coordinates.check._MAX_POINTS", 10)

    found = bench.warnings({"o": (GEOMETRIES, [square(5 * number, 5) for number in range(6)])})

    assert found == ("outputs.o: only the first 2 of 6 geometries were checked for mistakes",)


REGION = {"type": "Polygon", "coordinates": [[[0, 0], [100, 0], [0, 80], [0, 0]]]}


@pytest.mark.parametrize("flip", [False, True])
def test_a_region_shows_which_direction_is_right(bench: Bench, flip: bool) -> None:
    # Given geometries in the lower left half of the image, which is the region
    places = [(x, y) for x in range(5, 90, 9) for y in range(4, 70, 9) if x / 100 + y / 80 < 0.9]
    outlines = [square(x, 80 - y - 2 if flip else y) for x, y in places]

    found = bench.collect({"nuclei": (GEOMETRIES, outlines)}, regions={"image": REGION}).warnings

    assert sum("are inside the region of inputs.image, 100% after flipping y" in one for one in found) == flip


def test_a_program_that_ignores_the_region_is_not_suspected(bench: Bench) -> None:
    outlines = [square(x, y) for x in range(5, 90, 9) for y in range(4, 70, 9)]

    assert bench.collect({"nuclei": (GEOMETRIES, outlines)}, regions={"image": REGION}).warnings == ()


# -- inputs -----------------------------------------------------------------------------------------


def test_inputs_are_checked_as_texts_objects_and_files(bench: Bench, tmp_path: Path) -> None:
    descriptor = make({"image": "image", "spots": GEOMETRIES}, {"o": "integer"})
    path = tmp_path / "spot.geojson"
    path.write_text(square(500, 5))
    spots = [square(5, 5), square(300, 5), json.loads(square(400, 5)), values.FileValue(path)]

    found = values.provision(
        descriptor, {"image": values.FileValue(Path(bench.image)), "spots": spots}, tmp_path / "in"
    )

    assert [one for one in found.warnings if "outside" in one] == [
        "inputs.spots: 3 of 4 geometries outside inputs.image (100 x 80 pixels): spots[1] (x 300 to 302, "
        "y 5 to 7), spots[2] (x 400 to 402, y 5 to 7) and spots[3] (x 500 to 502, y 5 to 7)"
    ]


def test_flipped_inputs_are_recognised(bench: Bench, nuclei: dict[bool, list[str]], tmp_path: Path) -> None:
    descriptor = make({"image": "image", "spots": GEOMETRIES}, {"o": "integer"})

    for flip in (False, True):
        given = {"image": Path(bench.image), "spots": nuclei[flip]}
        found = values.provision(descriptor, given, tmp_path / f"in{flip}")
        assert sum(CONVERT in one for one in found.warnings) == flip


# -- robustness -------------------------------------------------------------------------------------


def test_a_bug_in_the_check_is_a_warning(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("localrun.values.coordinates.flipping.check", fail)

    assert bench.warnings({"o": ("geometry", square(5, 5))}) == (
        "outputs.o: could not check the coordinates: ZeroDivisionError: oops",
    )


def test_coordinates_of_any_size_are_only_outside(bench: Bench) -> None:
    huge = polygon([(-1e300, -1e300), (1e300, -1e300), (1e300, 1e300), (-1e300, 1e300)])

    (found,) = bench.warnings({"o": ("geometry", huge)})

    assert "outside" in found


def test_a_link_in_the_outputs_is_not_followed(bench: Bench) -> None:
    # Given an output image that is a link to a file of the host
    secret = bench.file("secret", png(10, 10))
    (bench.outputs / "mask").symlink_to(secret)
    write(bench.outputs / "o", square(50, 50))

    found = values.collect(make({}, {"mask": "image", "o": "geometry"}), bench.outputs, {})

    assert [problem.path for problem in found.problems] == ["outputs.mask"]
    assert found.warnings == ()


@pytest.mark.parametrize("kind", ["integer", "image"])
def test_a_task_without_geometries_imports_nothing_for_the_check(kind: str) -> None:
    code = f"""
import sys
from pathlib import Path
from localrun import values
from tests.support.descriptors import make
values.collect(make({{"image": "image"}}, {{"o": "{kind}"}}), Path("/"), {{}})
names = ("numpy", "shapely", "PIL", "localrun.values.coordinates.check")
print([name for name in names if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout == "[]\n"
