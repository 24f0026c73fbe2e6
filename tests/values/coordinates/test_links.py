"""Each geometry belongs to the image that the descriptor names, or to the only one."""

from __future__ import annotations

from typing import Any

import pytest

from localrun.values.coordinates.links import Values, geometry_names, groups
from tests.support.descriptors import make, parameter

GEOMETRIES = {"id": "array", "subtype": "geometry"}
NESTED = {"id": "array", "subtype": GEOMETRIES}
IMAGES = {"id": "array", "subtype": "image"}


def linked(
    inputs: dict[str, Any], outputs: dict[str, Any], values: Values, name: str = "o"
) -> list[tuple[list[str], str | None]]:
    """The places of the geometries on each image, and the place of the image."""
    found = groups(make(inputs, outputs), values, "outputs", name)
    return [([item.place for item in one.items], one.picture.place if one.picture else None) for one in found]


def of(kind: Any, **dependencies: Any) -> dict[str, Any]:
    return parameter(kind, dependencies=dependencies)


def test_the_only_image_is_that_of_all_geometries() -> None:
    values = Values({"i": "/i"}, {"o": ["a", ["b"]]}, {})

    assert linked({"i": "image"}, {"o": NESTED}, values) == [(["o[0]", "o[1][0]"], "inputs.i")]


def test_an_image_that_is_not_set_does_not_count() -> None:
    values = Values({"i": "/i"}, {"o": "a"}, {})

    assert linked({"i": "image", "j": parameter("image", optional=True)}, {"o": "geometry"}, values) == [
        (["o"], "inputs.i")
    ]


@pytest.mark.parametrize("kind", ["geometry", GEOMETRIES])
def test_two_images_without_a_link_are_ambiguous(kind: Any) -> None:
    value, places = ("a", ["o"]) if kind == "geometry" else (["a"], ["o[0]"])

    assert linked(
        {"i": "image", "j": "image"}, {"o": kind}, Values({"i": "/i", "j": "/j"}, {"o": value}, {})
    ) == [(places, None)]


def test_derived_from_comes_first() -> None:
    values = Values({"i": "/i", "j": "/j"}, {"o": "a"}, {})

    found = linked({"i": "image", "j": "image"}, {"o": of("geometry", derived_from="inputs/j")}, values)

    assert found == [(["o"], "inputs.j")]


def test_inner_arrays_belong_to_the_image_of_their_index_and_extra_ones_to_none() -> None:
    values = Values({"i": ["/0", "/1"]}, {"o": [["a", "b"], [], ["c"]]}, {})

    assert linked({"i": IMAGES}, {"o": NESTED}, values) == [
        (["o[0][0]", "o[0][1]"], "inputs.i[0]"),
        ([], "inputs.i[1]"),
        (["o[2][0]"], None),
    ]


def test_parallel_arrays_need_a_declared_link() -> None:
    values = Values({"i": ["/0", "/1"]}, {"o": ["a", "b"]}, {})

    assert linked({"i": IMAGES}, {"o": GEOMETRIES}, values) == [(["o[0]", "o[1]"], None)]
    matching = of(GEOMETRIES, derived_from="inputs/i", matching=["inputs/i"])
    assert linked({"i": IMAGES}, {"o": matching}, values) == [
        (["o[0]"], "inputs.i[0]"),
        (["o[1]"], "inputs.i[1]"),
    ]


def test_an_array_of_one_image_is_that_image() -> None:
    values = Values({"i": ["/0"]}, {"o": ["a", "b"], "p": "c"}, {})

    assert linked({"i": IMAGES}, {"o": GEOMETRIES, "p": "geometry"}, values) == [
        (["o[0]", "o[1]"], "inputs.i[0]")
    ]
    assert linked({"i": IMAGES}, {"o": GEOMETRIES, "p": "geometry"}, values, "p") == [(["p"], "inputs.i[0]")]


def test_other_image_outputs_are_masks_of_the_same_image() -> None:
    values = Values({"i": ["/0", "/1"]}, {"o": [["a"], ["b"]], "m": ["/m0", "/m1"], "n": "/n"}, {})

    found = groups(make({"i": IMAGES}, {"o": NESTED, "m": IMAGES, "n": "image"}), values, "outputs", "o")

    assert [[mask.place for mask in one.masks] for one in found] == [["outputs.m[0]"], ["outputs.m[1]"]]


def test_a_crop_takes_the_place_of_its_image() -> None:
    values = Values({"i": ["/0", "/1"]}, {"o": [["a"], ["b"]]}, {"i/1": "/crop"})

    found = groups(make({"i": IMAGES}, {"o": NESTED}), values, "outputs", "o")

    assert [one.picture and one.picture.path for one in found] == ["/0", "/crop"]


def test_geometries_are_found_in_arrays_of_any_depth() -> None:
    descriptor = make({"i": "image", "a": "geometry", "b": NESTED, "c": IMAGES}, {})

    assert geometry_names(descriptor.inputs) == ["a", "b"]
