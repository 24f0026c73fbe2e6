"""Values stay the same through files, and through a real container."""

from __future__ import annotations

import json
import math
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localrun import values
from localrun.descriptor.types import TYPES
from localrun.engines.dockerd import DockerEngine
from localrun.task.states import TaskState
from tests.support.busybox_image import busybox_image
from tests.support.descriptors import as_json, make
from tests.support.environment import Environment, make_environment
from tests.support.image_files import dicom, jpeg, png, slide, tiff

WORDS = ("low", "middle", "high", "µ")


def _is_kept(text: str) -> bool:
    """Return whether App Engine keeps the text: it trims, and treats empty text as missing."""
    return bool(text) and text == text.strip("".join(map(chr, range(33)))) and not text.isspace()


texts = st.text(st.characters(codec="utf-8"), max_size=40).filter(_is_kept)
pairs = st.tuples(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6)).map(list)
moments = st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
lines = st.lists(pairs, min_size=2, max_size=5, unique_by=lambda pair: (pair[0], pair[1]))
boxes = st.tuples(pairs, st.integers(1, 50)).map(
    lambda one: [[[one[0][0] + x * one[1], y * one[1]] for x, y in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))]]
)
geometries = st.one_of(
    st.fixed_dictionaries({"type": st.just("Point"), "coordinates": pairs}),
    st.fixed_dictionaries({"type": st.just("LineString"), "coordinates": lines}),
    st.fixed_dictionaries({"type": st.just("Polygon"), "coordinates": boxes}),
).map(json.dumps)
pictures = st.builds(
    lambda maker, width, height: maker(width, height),
    st.sampled_from([png, jpeg, tiff, dicom]),
    st.integers(1, 64),
    st.integers(1, 64),
)
# a type and its values; bytes are the content of a file
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "boolean": ("boolean", st.booleans()),
    "integer": ("integer", st.integers(-(2**31), 2**31 - 1)),
    "number": (
        {"id": "number", "nan_allowed": True, "infinity_allowed": True},
        st.integers(-(2**60), 2**60) | st.floats(),
    ),
    "string": ("string", texts),
    "enumeration": ({"id": "enumeration", "values": list(WORDS)}, st.sampled_from(WORDS)),
    "datetime": ("datetime", moments.filter(lambda text: text.count(":") == 3)),
    "geometry": ("geometry", geometries),
    "file": ("file", st.binary(max_size=200)),
    "image": ("image", pictures | st.just(slide())),
}


def array_of(kind: Any, deep: bool) -> Any:
    inner = {"id": "array", "subtype": kind, "min_size": 0, "max_size": 9}
    return {"id": "array", "subtype": inner, "min_size": 0, "max_size": 9} if deep else inner


@st.composite
def parameters(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return types and values by name: a value, a list and a nested list of each type."""
    kinds: dict[str, Any] = {}
    given_values: dict[str, Any] = {}
    for name, (kind, strategy) in KINDS.items():
        kinds |= {name: kind, f"{name}s": array_of(kind, False), f"{name}_rows": array_of(kind, True)}
        row = st.lists(strategy, max_size=3)
        given_values[name] = draw(strategy)
        given_values[f"{name}s"] = draw(row)
        given_values[f"{name}_rows"] = draw(st.lists(row, max_size=2))
    return kinds, given_values


def to_files(value: Any, folder: Path) -> Any:
    """Write bytes into files, as a user would pass them."""
    if isinstance(value, dict):
        return {name: to_files(item, folder) for name, item in value.items()}
    if isinstance(value, list):
        return [to_files(item, folder) for item in value]
    if not isinstance(value, bytes):
        return value
    path = folder / f"file-{secrets.token_hex(8)}"
    path.write_bytes(value)
    return path


def comparable(value: Any, name: str = "") -> Any:
    """Return the expected value: numbers as numbers, files as their content."""
    if isinstance(value, dict):
        return {key: comparable(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item, name) for item in value]
    if name.startswith("number"):
        number = float(value)
        return "nan" if math.isnan(number) else number
    if isinstance(value, str) and name.startswith("geometry") and not value.startswith("/"):
        return value.encode()
    if name.startswith(("file", "image", "geometry")) and not isinstance(value, bytes):
        path = Path(value)
        return {one.name: one.read_bytes() for one in path.iterdir()} if path.is_dir() else path.read_bytes()
    if value == slide():
        return {"a.dcm": dicom(), "b.dcm": dicom(9, 8)}
    return value


def test_every_type_is_tested() -> None:
    assert {*KINDS, "array"} == set(TYPES)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(parameters())
def test_a_copied_file_has_the_same_value(drawn: tuple[dict[str, Any], dict[str, Any]]) -> None:
    kinds, wanted = drawn
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        # Given values of all types, written as inputs
        values.provision(make(kinds), to_files(wanted, folder), folder / "in", copy=True)

        # When each file is copied to the output of the same name
        shutil.copytree(folder / "in", folder / "out")
        found = values.collect(make(None, kinds), folder / "out")

        # Then the same values are read
        assert found.problems == ()
        assert comparable(found.outputs) == comparable(wanted)


@pytest.fixture(scope="module")
def copier(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An environment whose task copies its inputs."""
    with (
        busybox_image(docker_engine, "cp", "-R", "/inputs/.", "/outputs/") as name,
        make_environment(tmp_path_factory.mktemp("copy"), engine=docker_engine, image=name) as env,
    ):
        yield env


@pytest.mark.docker
@settings(max_examples=5, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(parameters())
def test_a_container_that_copies_its_inputs_has_the_same_values(
    copier: Environment, drawn: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    kinds, wanted = drawn
    copier.bundle.write_text(json.dumps(as_json(kinds, kinds), ensure_ascii=False))
    with tempfile.TemporaryDirectory() as name:
        record = copier.run(values=to_files(wanted, Path(name)))

    assert (record.state, record.problems) == (TaskState.FINISHED, [])
    assert comparable(record.outputs) == comparable(wanted)
