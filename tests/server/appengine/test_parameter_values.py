"""The values of a run are read from its files and shown as App Engine shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.server.appengine.parameter_values import ValueReader, find_name
from localrun.values.untrusted import UntrustedDir
from tests.support.descriptors import make, parameter

RUN = "11111111-2222-3333-4444-555555555555"
POINT = '{"type":"Point","coordinates":[1,2]}'


def read(folder: Path, kind: Any, *, is_input: bool = True, nulls: tuple[str, ...] = ()) -> Any:
    described = make({"p": parameter(kind)})
    with UntrustedDir(folder, "/inputs") as tree:
        return ValueReader(tree, RUN, is_input=is_input, nulls=nulls).read(described.inputs["p"].type, "p")


def array(subtype: Any) -> dict[str, Any]:
    return {"id": "array", "subtype": subtype}


@pytest.mark.parametrize(
    ("kind", "text", "name", "value"),
    [
        ("boolean", "true", "BOOLEAN", True),
        ("integer", "15\n", "INTEGER", 15),
        ("number", "5", "NUMBER", 5.0),
        ("number", "nan", "NUMBER", "NaN"),
        ("number", "inf", "NUMBER", "Infinity"),
        ("number", "-Infinity", "NUMBER", "-Infinity"),
        ("string", "null", "STRING", "null"),
        ({"id": "enumeration", "values": ["A"]}, "A", "ENUMERATION", "A"),
        ("datetime", "2024-02-23T19:00:00+01:00", "DATETIME", "2024-02-23T18:00:00Z"),
        ("datetime", "2024-02-23T19:00:00.5Z", "DATETIME", "2024-02-23T19:00:00.500Z"),
        ("datetime", "2024-02-23T19:00:00.000001Z", "DATETIME", "2024-02-23T19:00:00.000001Z"),
        ("datetime", "2024-02-23T19:00:00.000000001Z", "DATETIME", "2024-02-23T19:00:00.000000001Z"),
        ("geometry", POINT, "GEOMETRY", POINT),
        ("image", "data", "IMAGE", None),
        ("file", "data", "FILE", None),
        ("integer", "null", "INTEGER", None),
    ],
)
def test_a_value_has_its_type_in_upper_case(
    tmp_path: Path, kind: Any, text: str, name: str, value: Any
) -> None:
    (tmp_path / "p").write_text(text)
    assert read(tmp_path, kind) == {"taskRunId": RUN, "parameterName": "p", "type": name, "value": value}


@pytest.mark.parametrize("kind", ["string", {"id": "enumeration", "values": ["A"]}])
def test_a_text_is_trimmed_in_an_output_and_kept_in_an_input(tmp_path: Path, kind: Any) -> None:
    (tmp_path / "p").write_text(" A\n")
    assert read(tmp_path, kind, is_input=False)["value"] == "A"
    assert read(tmp_path, kind)["value"] == " A\n"


def test_names_are_compared_without_case() -> None:
    assert find_name(["a", "Image"], "image") == "Image"
    assert find_name(["Image", "image"], "image") == "image"
    assert find_name(["a"], "b") is None


def test_geometries_of_inputs_are_shown_as_they_were_given(tmp_path: Path) -> None:
    (tmp_path / "p").write_text(f" {POINT}\n")
    assert read(tmp_path, "geometry")["value"] == f" {POINT}\n"
    assert read(tmp_path, "geometry", is_input=False)["value"] == POINT


def test_a_number_is_a_double(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("5")
    assert isinstance(read(tmp_path, "number")["value"], float)


def test_null_is_told_apart_from_the_string(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("null")
    assert read(tmp_path, "string", nulls=("p",))["value"] is None


def test_a_parameter_without_a_file_has_no_value(tmp_path: Path) -> None:
    assert read(tmp_path, "string") is None


def test_items_are_sorted_by_their_index(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for name, text in (("10", "1"), ("2", "2"), ("array.yml", "size: 2"), ("other", "")):
        (folder / name).write_text(text)
    assert read(tmp_path, array("integer")) == {
        "taskRunId": RUN,
        "parameterName": "p",
        "type": "ARRAY",
        "value": [{"index": 2, "value": 2}, {"index": 10, "value": 1}],
        "subType": "INTEGER",
    }


def test_an_item_without_a_value_is_only_its_index(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "0").write_text("data")
    found = read(tmp_path, array("image"))
    assert (found["value"], found["subType"]) == ([{"index": 0}], "IMAGE")


def test_an_empty_array_has_no_subtype(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    found = read(tmp_path, array("image"))
    assert found == {"taskRunId": RUN, "parameterName": "p", "type": "ARRAY", "value": None}


@pytest.mark.parametrize(("is_input", "names"), [(True, ("p[0]", "p[0][1]")), (False, ("p/0", "p/0/1"))])
def test_a_nested_array_is_a_whole_value(tmp_path: Path, is_input: bool, names: tuple[str, str]) -> None:
    place = tmp_path / "p/0/1"
    place.mkdir(parents=True)
    (place / "0").write_text(POINT)
    (outer,) = read(tmp_path, array(array(array("geometry"))), is_input=is_input)["value"]
    (inner,) = outer["value"]
    head = {"taskRunId": RUN, "type": "ARRAY"}
    assert outer == {**head, "parameterName": names[0], "value": [inner], "subType": "ARRAY"}
    items = [{"index": 0, "value": POINT}]
    assert inner == {**head, "parameterName": names[1], "value": items, "subType": "GEOMETRY"}
