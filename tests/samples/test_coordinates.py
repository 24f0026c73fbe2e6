"""The geometries that samples expect lie on the objects of their image, as App Engine draws them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import shapely.geometry
from PIL import Image as Picture

from localrun import values
from localrun.descriptor import Descriptor, read
from localrun.descriptor.types import Image
from localrun.values import FileValue
from localrun.values.coordinates.links import geometry_names, innermost

SAMPLES = Path(__file__).parents[2] / "samples"
LEAST = 0.95  # of the area of the geometries
FLIPPED_MOST = 0.6


def expectations() -> Iterator[Path]:
    """The `expected.json` of samples, and of the test cases of their projects."""
    for path in sorted(SAMPLES.glob("**/descriptor.yml")):
        if not path.parent.name.startswith("broken-") and geometry_names(read(path.read_bytes()).outputs):
            project = path.parents[1] if path.parent.name == "task" else path.parent
            found = [path.parent / "expected.json", *project.glob("tests/cases/*/expected.json")]
            yield from (file for file in found if file.is_file())


def descriptor_of(expected: Path) -> Descriptor:
    folders = (expected.parent, *expected.parents)
    files = (folder / part / "descriptor.yml" for folder in folders for part in (".", "task"))
    return read(next(file for file in files if file.is_file()).read_bytes())


def flat(value: Any) -> list[Any]:
    return [one for item in value for one in flat(item)] if isinstance(value, list) else [value]


def images(found: dict[str, Any], parameters: dict[str, Any]) -> list[Path]:
    names = (name for name, one in parameters.items() if isinstance(innermost(one.type), Image))
    return [one.path for name in names for one in flat(found.get(name, []))]


def objects(path: Path) -> Any:
    """The pixels of the objects: those of the smaller class by Otsu's method."""
    pixels = np.asarray(Picture.open(path).convert("L"), dtype=float)
    levels = np.unique(pixels)[1:]
    best = max(levels, key=lambda level: separation(pixels, level))
    bright = pixels >= best
    return bright if bright.mean() <= 0.5 else ~bright


def separation(pixels: Any, level: float) -> float:
    above = pixels >= level
    share = above.mean()
    return float(share * (1 - share) * (pixels[above].mean() - pixels[~above].mean()) ** 2)


def shape_of(value: Any) -> Any:
    text = value.path.read_text() if isinstance(value, FileValue) else value
    found = json.loads(text) if isinstance(text, str) else text
    return shapely.geometry.shape(found["geometry"] if found["type"] == "Feature" else found)


def shares(shapes: list[Any], mask: Any) -> tuple[float, float]:
    """The shares of the area on objects: drawn from the bottom, and from the top."""
    area = shapely.union_all(shapes)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    upright = shapely.contains_xy(area, columns, mask.shape[0] - rows)
    flipped = shapely.contains_xy(area, columns, rows)
    return float(mask[upright].mean()), float(mask[flipped].mean())


def with_images() -> Iterator[tuple[Path, str]]:
    """The expectations with one image, and the names of their geometries."""
    for expected in expectations():
        described = descriptor_of(expected)
        if images(values.load_values(expected), dict(described.outputs)) or images(
            values.load_values(expected.with_name("inputs.json")), dict(described.inputs)
        ):
            yield from ((expected, name) for name in geometry_names(described.outputs))


@pytest.mark.parametrize(
    ("expected", "name"),
    [*with_images()],
    ids=lambda one: one if isinstance(one, str) else one.parent.name,
)
def test_the_geometries_of_a_sample_lie_on_the_objects_of_its_image(expected: Path, name: str) -> None:
    # Given the mask that the sample expects, or else its image
    described, found = descriptor_of(expected), values.load_values(expected)
    given = values.load_values(expected.with_name("inputs.json"))
    shown = images(found, dict(described.outputs)) or images(given, dict(described.inputs))
    parts = found[name] if len(shown) > 1 else [found[name]]

    # Then the geometries are on its objects
    for path, part in zip(shown, parts, strict=len(shown) > 1):
        upright, flipped = shares([shape_of(one) for one in flat(part)], objects(path))
        assert upright >= LEAST
        assert flipped <= FLIPPED_MOST or flipped == pytest.approx(upright, abs=0.02)  # symmetric


def test_the_samples_with_images_and_geometries_are_found() -> None:
    assert {("count-cells", "outlines"), ("small", "outline")} <= {
        (expected.parent.name, name) for expected, name in with_images()
    }


def test_the_check_reports_the_outlines_of_count_cells_only_if_they_are_flipped(
    tmp_path: Path,
) -> None:
    # Given the expected outputs of count-cells
    sample = SAMPLES / "count-cells"
    described = read((sample / "descriptor.yml").read_bytes())
    text = (sample / "expected/outlines.geojson").read_text()
    (tmp_path / "mask").write_bytes((sample / "expected/mask.png").read_bytes())
    (tmp_path / "count").write_text("40")
    (tmp_path / "mean_area").write_text("207.07")

    def warnings(outlines: str) -> tuple[str, ...]:
        (tmp_path / "outlines").write_text(outlines)
        return values.collect(described, tmp_path, {"image": str(sample / "cells.png")}).warnings

    # When y counts from the bottom, then nothing is reported
    assert warnings(text) == ()

    # And when it counts from the top, it is
    flipped = json.loads(text)
    for ring in (ring for polygon in flipped["coordinates"] for ring in polygon):
        ring[:] = [[x, 240 - y] for x, y in ring]
    (found,) = warnings(json.dumps(flipped))
    assert "y seems to be counted from the top: 21% of their area is on the objects of outputs.mask" in found
    assert "100% after flipping y" in found
    assert "write y = height - y (the height of inputs.image is 240 pixels)" in found
