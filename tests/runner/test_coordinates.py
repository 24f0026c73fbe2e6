"""The warnings about coordinates are part of the record of a task that finishes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from localrun.engines.fake import FakeContainer
from tests.support.descriptors import as_json
from tests.support.environment import make_environment
from tests.support.nuclei import scene

NUCLEI = {"id": "array", "subtype": "geometry"}


@pytest.mark.parametrize("flip", [False, True])
def test_a_task_that_counts_y_from_the_top_finishes_with_one_warning(tmp_path: Path, flip: bool) -> None:
    # Given a program that outlines the nuclei of its image
    image = scene(5, 30)
    (tmp_path / "image.png").write_bytes(image.png)

    def program(container: FakeContainer) -> int:
        outlines = image.geometries(flip=flip)
        folder = container.path("/outputs/nuclei")
        folder.mkdir()
        (folder / "array.yml").write_text(f"size: {len(outlines)}")
        for number, text in enumerate(outlines):
            (folder / str(number)).write_text(text)
        return 0

    # When it runs
    with make_environment(tmp_path, program) as env:
        env.bundle.write_text(json.dumps(as_json({"image": "image"}, {"nuclei": NUCLEI})))
        record = env.run(values={"image": tmp_path / "image.png"})

    # Then it finishes, and the flip is the only thing that is reported
    assert (str(record.state), record.problems) == ("FINISHED", [])
    assert [("counted from the top" in one) for one in record.warnings] == [True] * flip


def test_inputs_outside_the_image_are_reported_before_the_task_runs(tmp_path: Path) -> None:
    image = scene(5, 3)
    (tmp_path / "image.png").write_bytes(image.png)
    point = json.dumps({"type": "Point", "coordinates": [500, 20]})

    def program(container: FakeContainer) -> int:
        container.path("/outputs/n").write_text("1")
        return 0

    with make_environment(tmp_path, program) as env:
        env.bundle.write_text(json.dumps(as_json({"image": "image", "spot": "geometry"}, {"n": "integer"})))
        record = env.run(values={"image": tmp_path / "image.png", "spot": point})

    assert (str(record.state), record.warnings) == (
        "FINISHED",
        ["inputs.spot: outside inputs.image (320 x 240 pixels): x 500, y 20"],
    )


@pytest.mark.parametrize("flip", [False, True])
def test_outlines_are_compared_with_the_crop_that_the_task_gets(tmp_path: Path, flip: bool) -> None:
    # Given a region in the upper left of a larger image, and a program that outlines the nuclei of its crop
    image = scene(5, 30)
    pixels = np.full((480, 640), 110.0)
    pixels[:240, :320] = image.pixels
    (tmp_path / "image.png").write_bytes(image._replace(pixels=pixels).png)
    corners = [[0, 240], [320, 240], [320, 480], [0, 480], [0, 240]]
    region = {"type": "Polygon", "coordinates": [corners]}

    def program(container: FakeContainer) -> int:
        parts = [json.loads(one)["coordinates"] for one in image.geometries(flip=flip)]
        outline = {"type": "MultiPolygon", "coordinates": parts}
        container.path("/outputs/nuclei").write_text(json.dumps(outline))
        return 0

    # When it runs
    with make_environment(tmp_path, program) as env:
        env.bundle.write_text(json.dumps(as_json({"image": "image"}, {"nuclei": "geometry"})))
        record = env.run(values={"image": {"file": str(tmp_path / "image.png"), "crop": region}})

    # Then only flipped outlines are reported, with the height of the crop
    assert (str(record.state), record.problems) == ("FINISHED", [])
    assert [("the height of inputs.image is 240 pixels" in one) for one in record.warnings] == [True] * flip
