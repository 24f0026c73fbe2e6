"""The samples nuclei and nuclei-batch find the nuclei of their images, and of regions of them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely.geometry import Point, shape

from tests.conftest import skip_or_fail
from tests.support.samples import BASE_IMAGE, remove_new_images

SAMPLES = Path(__file__).parents[2] / "samples"
NUCLEI, BATCH = SAMPLES / "nuclei", SAMPLES / "nuclei-batch"


def load(path: Path) -> Any:
    """Import a script that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_images = load(NUCLEI / "make_images.py")


@dataclass(frozen=True)
class Localrun:
    """Runs the command with BuildKit, in a folder of its own."""

    home: Path
    environment: dict[str, str]

    def run(self, *arguments: object) -> dict[str, Any]:
        """Run a bundle; return the record of its task."""
        command = [sys.executable, "-m", "localrun", "run", *map(str, arguments), "--json"]
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        record: dict[str, Any] = json.loads(ran.stdout)
        return record


@pytest.fixture(scope="module")
def localrun(tmp_path_factory: pytest.TempPathFactory, buildx_config: Path) -> Iterator[Localrun]:
    home = tmp_path_factory.mktemp("nuclei")
    path = f"{buildx_config / 'cli-plugins'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LOCALRUN_HOME": str(home), "PYTHON": sys.executable}
    with remove_new_images(home):
        script = [str(NUCLEI / "get-wheels.sh"), BASE_IMAGE]
        got = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
        if got.returncode:
            skip_or_fail(f"cannot download the wheels of samples/nuclei: {got.stderr}")
        yield Localrun(home, environment)


@pytest.fixture(scope="module")
def record(localrun: Localrun) -> dict[str, Any]:
    """The task of the example inputs, which include a region."""
    inputs = NUCLEI / "examples/inputs"
    return localrun.run(NUCLEI, "--inputs", inputs, "--build-arg", f"BASE_IMAGE={BASE_IMAGE}")


def true_centres(image: Path) -> list[Point]:
    """The centres of the nuclei in an example image, in GeoJSON coordinates."""
    size, count, seed = make_images.PICTURES[image]
    found = make_images.centres(size, count, np.random.default_rng(seed))
    return [Point(column, size - row) for row, column, _ in found]


def check_outlines(outlines: Sequence[Any], centres: Sequence[Point]) -> None:
    """Each outline is a valid polygon around one centre, and none is left."""
    assert len(outlines) == len(centres)
    assert all(outline.is_valid for outline in outlines)
    around = [[index for index, centre in enumerate(centres) if one.contains(centre)] for one in outlines]
    assert sorted(around) == [[index] for index in range(len(centres))]


def geometries(paths: Sequence[str]) -> list[Any]:
    return [shape(json.loads(Path(path).read_text())) for path in paths]


@pytest.mark.docker
def test_the_example_gives_an_outline_and_a_probability_for_each_nucleus_in_the_region(
    record: dict[str, Any],
) -> None:
    # Given the nuclei that the region contains
    image = NUCLEI / "examples/inputs/image"
    region = shape(json.loads(image.with_name("image.geojson").read_text()))
    inside = [centre for centre in true_centres(image) if region.contains(centre)]

    # Then the outputs are those, as parallel arrays of 300 items
    check_outlines(geometries(record["outputs"]["nuclei"]), inside)
    probabilities = record["outputs"]["probabilities"]
    assert len(probabilities) == len(inside) == 300
    assert all(0.2 <= value <= 1 for value in probabilities)
    assert not [text for text in record["warnings"] if "min_probability" not in text]


@pytest.mark.docker
def test_all_nuclei_are_found_without_a_region_and_fewer_with_other_numbers(
    localrun: Localrun, record: dict[str, Any]
) -> None:
    image = NUCLEI / "examples/inputs/image"
    given = [NUCLEI, "--image", record["image"], "-i", f"image=@{image}"]
    check_outlines(geometries(localrun.run(*given)["outputs"]["nuclei"]), true_centres(image))

    some = localrun.run(*given, "-i", "min_probability=0.7", "-i", "min_area=200")["outputs"]
    assert 0 < len(some["nuclei"]) < 320
    assert min(some["probabilities"]) >= 0.7
    assert min(one.area for one in geometries(some["nuclei"])) > 180


@pytest.mark.docker
def test_an_image_without_nuclei_gives_empty_arrays(
    localrun: Localrun, record: dict[str, Any], tmp_path: Path
) -> None:
    from PIL import Image

    Image.new("L", (64, 48)).save(tmp_path / "black.png")
    given = ["-i", f"image=@{tmp_path / 'black.png'}"]
    assert localrun.run(NUCLEI, "--image", record["image"], *given)["outputs"] == {
        "nuclei": [],
        "probabilities": [],
    }


@pytest.mark.docker
def test_the_batch_gives_an_array_for_each_image(localrun: Localrun) -> None:
    inputs = BATCH / "examples/inputs"
    build = ["--context", NUCLEI, "--build-arg", f"BASE_IMAGE={BASE_IMAGE}"]
    outputs = localrun.run(BATCH, *build, "--inputs", inputs)["outputs"]

    region = shape(json.loads((inputs / "images/0.geojson").read_text()))
    inside = [centre for centre in true_centres(inputs / "images/0") if region.contains(centre)]
    assert len(inside) == 19
    check_outlines(geometries(outputs["nuclei"][0]), inside)
    check_outlines(geometries(outputs["nuclei"][1]), true_centres(inputs / "images/1"))
    assert [len(values) for values in outputs["probabilities"]] == [19, 12]


def test_the_example_files_are_what_their_script_makes() -> None:
    from PIL import Image

    for path, arguments in make_images.PICTURES.items():
        assert np.array_equal(np.asarray(Image.open(path)), make_images.picture(*arguments))
    for path, ring in make_images.REGIONS.items():
        assert json.loads(path.read_text())["coordinates"] == [ring]
    for path, text in make_images.TEXTS.items():
        assert path.read_text() == text
