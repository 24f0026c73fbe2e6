"""Inputs are sent as App Engine expects each type, by the requests of its API."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun import values
from localrun.api.remote.client import AppEngineClient, connect
from localrun.api.remote.provisions import GivenInputs, InputRequest, given_inputs
from localrun.descriptor import Descriptor, read
from localrun.manager.request import Request
from tests.conftest import ROOT
from tests.support.app_engine_client import AppEngineEnvironment, serve_app_engine
from tests.support.descriptors import make, parameter
from tests.support.image_files import dicom, png, slide
from tests.support.server_client import live

TYPES_OF = sorted(path.parent for path in (ROOT / "samples/types").glob("*/descriptor.yml"))
POINT = {"type": "Point", "coordinates": [1, 2]}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AppEngineEnvironment, AppEngineClient]]:
    with serve_app_engine(tmp_path_factory.mktemp("site")) as env, live(env.server.site) as address:
        yield env, connect(address)


def gathered(descriptor: Descriptor, *assignments: str, **given: Any) -> GivenInputs:
    return given_inputs(Request(Path(), values=given, assignments=assignments), descriptor)


def sent(kind: Any, value: Any) -> list[InputRequest]:
    found = gathered(make({"p": parameter(kind)}), p=value)
    assert found.problems == ()
    return list(found.provisions)


@pytest.mark.parametrize("sample", TYPES_OF, ids=lambda sample: sample.name)
def test_the_inputs_of_each_sample_are_accepted_by_the_server(
    site: tuple[AppEngineEnvironment, AppEngineClient], sample: Path
) -> None:
    env, client = site
    text = (sample / "descriptor.yml").read_text()
    task = env.upload(text)
    run = env.create_run(task)["id"]
    found = gathered(read(text.encode()), **values.load_values(sample / "inputs.json"))
    assert found.problems == ()
    answers = [provision.send(client, run) for provision in found.provisions]
    assert [answer.text for answer in answers if not answer.is_ok] == []
    assert client.run(run).json()["state"] == "PROVISIONED"
    names = {value["parameterName"] for value in env.get(f"task-runs/{run}/inputs").json()}
    assert names == {provision.name for provision in found.provisions}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 3, 3),
        ("number", 2.5, 2.5),
        ({"id": "number", "infinity_allowed": True}, "-inf", "-inf"),
        ("boolean", True, True),
        ("string", "5", "5"),
        ({"id": "array", "subtype": "integer"}, [], []),
        ({"id": "array", "subtype": "string"}, ["a"], [{"index": 0, "value": "a"}]),
        (
            {"id": "array", "subtype": {"id": "array", "subtype": "integer"}},
            [[1], []],
            [{"index": 0, "value": [{"index": 0, "value": 1}]}, {"index": 1, "value": []}],
        ),
    ],
)
def test_a_value_is_sent_as_json(kind: Any, value: Any, expected: Any) -> None:
    (found,) = sent(kind, value)
    assert (found.value, found.content, found.index) == (expected, None, None)


def test_a_geometry_is_sent_as_a_string(tmp_path: Path) -> None:
    file = tmp_path / "a.geojson"
    file.write_text(json.dumps(POINT))
    for value in (POINT, json.dumps(POINT), file):
        (found,) = sent("geometry", value)
        assert isinstance(found.value, str)
        assert json.loads(found.value) == POINT
    (found,) = sent({"id": "array", "subtype": "geometry"}, [POINT, file])
    assert [json.loads(item["value"]) for item in found.value] == [POINT, POINT]


def test_an_image_is_sent_as_a_file_with_its_region(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png())
    (found,) = sent("image", {"file": file, "region": POINT})
    assert (found.content, found.region) == (
        file.resolve(),
        json.dumps(POINT, separators=(",", ":")).encode(),
    )


def test_the_items_of_an_array_of_images_are_sent_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png())
    nested = {"id": "array", "subtype": {"id": "array", "subtype": "image"}}
    found = sent(nested, [[file, file], [file]])
    assert [(one.index, one.content) for one in found] == [
        (index, file.resolve()) for index in ("0/0", "0/1", "1/0")
    ]


def test_a_slide_is_sent_as_a_zip_also_if_it_is_a_folder(
    tmp_path: Path, site: tuple[AppEngineEnvironment, AppEngineClient]
) -> None:
    (tmp_path / "slide.zip").write_bytes(slide({"a.dcm": dicom()}))
    with zipfile.ZipFile(tmp_path / "slide.zip") as archive:
        archive.extractall(tmp_path / "slide")
    env, client = site
    task = env.upload(
        (ROOT / "samples/types/image-wsidicom/descriptor.yml").read_text().replace("1.0.0", "1.0.1")
    )
    for name in ("slide.zip", "slide"):
        (found,) = sent("image", tmp_path / name)
        run = env.create_run(task)["id"]
        answer = InputRequest("value", content=found.content, folder=tuple(found.folder)).send(client, run)
        assert answer.is_ok, answer.text
    assert found.folder


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("integer", "abc", "abc"),
        ({"id": "integer", "leq": 5}, "7", 7),
        ("boolean", "maybe", "maybe"),
        ({"id": "enumeration", "values": ["A"]}, "5", "5"),
        (
            {"id": "array", "subtype": "integer"},
            '[1, "x"]',
            [{"index": 0, "value": 1}, {"index": 1, "value": "x"}],
        ),
        ("geometry", "{}", "{}"),
    ],
)
def test_a_rejected_value_is_sent_as_it_was_given(kind: Any, text: str, expected: Any) -> None:
    found = gathered(make({"p": parameter(kind)}), f"p={text}")
    assert found.problems
    assert [one.value for one in found.provisions] == [expected]


def test_an_unknown_input_is_sent_and_a_default_too() -> None:
    described = make({"p": parameter("integer", default=3, optional=True)})
    found = gathered(described, "q=1")
    assert {one.name: one.value for one in found.provisions} == {"p": 3, "q": 1}
    assert [problem.path for problem in found.problems] == ["inputs.q"]
    assert "App Engine applies no defaults" in found.notes[0]


def test_a_missing_input_is_a_problem_and_not_sent() -> None:
    found = gathered(make({"p": parameter("integer")}))
    assert found.provisions == ()
    assert "missing required input" in found.problems[0].message
