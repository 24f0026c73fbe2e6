"""Outlines are only called flipped on clear evidence, measured on generated images."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from localrun.values.coordinates.drawing import draw
from localrun.values.coordinates.orientation import Verdict, measure, shares_on_objects
from localrun.values.coordinates.shapes import decode, outline
from tests.support.nuclei import Scene, circle, scene


def verdict(image: Scene, shown: Scene | None = None, *, flip: bool = False) -> Verdict | None:
    """The verdict on the outlines of `image` in the picture of `shown`."""
    height, width = image.pixels.shape
    outlines = [outline(decode(one)) for one in image.geometries(flip=flip)]
    pixels = (shown or image).pixels
    found = measure(draw(outlines, (width, height), (height, width)), [pixels])
    return found.verdict if found else None


@pytest.mark.parametrize("light", [80, -60], ids=["bright nuclei", "dark nuclei"])
@pytest.mark.parametrize("count", [8, 40, 120])
def test_flipped_outlines_are_recognised_and_right_ones_are_not_suspected(count: int, light: float) -> None:
    images = [scene(seed, count, light=light) for seed in range(4)]

    right = Counter(verdict(image) for image in images)
    flipped = Counter(verdict(image, flip=True) for image in images)

    assert right == {"upright": 4}
    assert flipped["flipped"] >= 3
    assert flipped["upright"] == 0


def test_outlines_of_something_else_are_not_suspected() -> None:
    found = Counter(verdict(scene(seed, 30), scene(seed + 1000, 30)) for seed in range(12))

    assert found["flipped"] == 0


def test_few_or_faint_objects_are_not_suspected_in_their_right_place() -> None:
    found = Counter(
        verdict(scene(seed, count, light=light, noise=12))
        for seed in range(5)
        for count, light in ((1, 20), (2, 80), (3, 15), (20, 8))
    )

    assert found["flipped"] == 0


def drawn_scene(
    pixels: np.ndarray[tuple[int, int], np.dtype[np.float64]], *places: tuple[float, ...]
) -> Scene:
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
    for x, row, radius in places:
        pixels = np.where(np.hypot(columns - x, rows - row) < radius, 200.0, pixels)
    return Scene(pixels, [circle(*place) for place in places])


BLACK = np.zeros((80, 100))


def test_a_single_object_is_enough_if_it_fits_exactly() -> None:
    one = drawn_scene(BLACK, (30, 20, 12))

    assert (verdict(one), verdict(one, flip=True)) == ("upright", "flipped")


@pytest.mark.parametrize(
    "image",
    [
        drawn_scene(BLACK, (50, 40, 20)),
        drawn_scene(BLACK, (50, 36, 20)),
        drawn_scene(BLACK, (30, 20, 10), (30, 60, 10)),
        Scene(BLACK, [circle(30, 20, 10)]),
        Scene(BLACK + 7, [[(0, 0), (100, 0), (100, 80), (0, 80)]]),
        Scene(np.tile(np.arange(100.0), (80, 1)), [circle(30, 20, 10), circle(70, 30, 15)]),
        Scene(np.where(np.arange(80)[:, None] < 40, 200.0, BLACK), [[(0, 0), (100, 0), (100, 40), (0, 40)]]),
    ],
    ids=["in the middle", "near the middle", "symmetric", "empty image", "whole image", "gradient", "half"],
)
def test_nothing_is_said_where_both_directions_fit_or_neither(image: Scene) -> None:
    assert verdict(image) != "flipped"
    assert verdict(image, flip=True) != "flipped"


def test_the_band_with_the_clearest_contrast_decides() -> None:
    image = scene(1, 40)
    height, width = image.pixels.shape
    outlines = [outline(decode(one)) for one in image.geometries(flip=True)]
    plain = np.random.default_rng(0).normal(0, 5, image.pixels.shape)

    found = measure(draw(outlines, (width, height), (height, width)), [plain, image.pixels, plain])

    assert found is not None
    assert found.verdict == "flipped"


@pytest.mark.parametrize("inverted", [False, True])
def test_the_shares_on_a_mask_do_not_depend_on_which_color_its_objects_have(inverted: bool) -> None:
    one = drawn_scene(BLACK, (30, 20, 12))
    mask = 200 - one.pixels if inverted else one.pixels
    outlines = [outline(decode(text)) for text in one.geometries(flip=True)]

    before, after = shares_on_objects(draw(outlines, (100, 80), (80, 100)), mask)

    assert before == 0
    assert after == pytest.approx(1, abs=0.03)
