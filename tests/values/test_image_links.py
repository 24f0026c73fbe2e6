"""An output belongs to an image, by its declaration or because there is only one."""

from __future__ import annotations

from typing import Any

import pytest

from localrun.values.image_links import image_of
from tests.support.descriptors import make, parameter

IMAGES = {"id": "array", "subtype": "image"}
POINTS = {"id": "array", "subtype": "geometry"}
NESTED = {"id": "array", "subtype": {**POINTS, "min_size": 0, "max_size": 9}}


@pytest.mark.parametrize(
    ("inputs", "output", "indexes", "place"),
    [
        ({"image": "image", "size": "integer"}, parameter(POINTS), (3,), "image"),
        ({"image": "image"}, parameter("geometry"), (), "image"),
        ({"images": IMAGES}, parameter(NESTED), (2, 5), "images/2"),
        ({"images": IMAGES}, parameter(POINTS), (2,), "images/2"),
        ({"images": IMAGES}, parameter("geometry"), (), None),
        ({"a": "image", "b": "image"}, parameter(POINTS), (0,), None),
        (
            {"a": "image", "b": "image"},
            parameter(POINTS, dependencies={"derived_from": "inputs/b"}),
            (0,),
            "b",
        ),
        (
            {"a": "image", "n": "integer"},
            parameter(POINTS, dependencies={"derived_from": "inputs/n"}),
            (0,),
            None,
        ),
        ({"n": "integer"}, parameter(POINTS), (0,), None),
    ],
)
def test_the_image_of_an_output(
    inputs: dict[str, Any], output: dict[str, Any], indexes: tuple[int, ...], place: str | None
) -> None:
    assert image_of(make(inputs, {"cells": output}), "cells", indexes) == place
