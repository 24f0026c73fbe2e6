"""Metadata of tasks."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import numpy
import pytest

from localrun.errors import UsageError
from localrun.task import metadata
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return TaskStore(tmp_path).create()


def test_there_are_none_at_first(workspace: Workspace) -> None:
    assert metadata.load(workspace) == {}


def test_new_notes_take_the_place_of_all_that_were_there(workspace: Workspace) -> None:
    metadata.save(workspace, {"a": "1", "b": "é"})
    metadata.save(workspace, {"b": "2"})
    assert metadata.load(workspace) == {"b": "2"}
    assert [path.name for path in workspace.path.iterdir()] == ["metadata.json"]


def test_any_json_value_is_kept(workspace: Workspace) -> None:
    values = {
        "text": "",
        "number": 1.5,
        "none": None,
        "flag": True,
        "list": [1, {"deep": ["x"]}],
        "big": -(2**63),
    }
    metadata.save(workspace, values)
    assert metadata.load(workspace) == values
    assert metadata.load(workspace)["flag"] is True


def test_values_that_are_almost_json_become_json() -> None:
    class Color(StrEnum):
        RED = "red"

    class Level(IntEnum):
        HIGH = 3

    given = {
        "pair": (1, 2),
        "color": Color.RED,
        "level": Level.HIGH,
        "n": numpy.int64(4),
        "x": numpy.float32(0.5),
    }
    found = metadata.check(given)
    assert found == {"pair": [1, 2], "color": "red", "level": 3, "n": 4, "x": 0.5}
    assert [type(value) for value in found.values()] == [list, str, int, int, float]


def test_metadata_of_strings_of_an_older_version_is_read(workspace: Workspace) -> None:
    (workspace.path / "metadata.json").write_text('{"sample":"A1","run":"3"}')
    assert metadata.load(workspace) == {"sample": "A1", "run": "3"}


@pytest.mark.parametrize(
    "notes",
    [
        {"a": object()},
        {"": "a"},
        {1: "a"},
        ["a"],
        "a",
        None,
        {"a": float("nan")},
        {"a": 2**64},
        {"a": "\udcff"},
        {"a": {1: 2}},
        {"a": [b"x"]},
        {"a": {1, 2}},
        {"a": Path("x")},
        {"\udcff": 1},
        {"a": numpy.array([1])},
    ],
)
def test_what_is_no_json_is_refused_and_changes_nothing(workspace: Workspace, notes: Any) -> None:
    metadata.save(workspace, {"kept": "yes"})
    with pytest.raises(UsageError) as caught:
        metadata.save(workspace, notes)
    assert len(caught.value.problems) == 1
    assert metadata.load(workspace) == {"kept": "yes"}


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UsageError) as caught:
        metadata.check({"loop": loop})
    assert "nested too deeply" in caught.value.problems[0].message


def test_all_that_does_not_fit_is_told() -> None:
    with pytest.raises(UsageError) as caught:
        metadata.check({"a": object(), "b": {"x": [1, b""]}, "c": "fine"})
    assert [problem.path for problem in caught.value.problems] == ["metadata.a", "metadata.b.x/1"]
    with pytest.raises(ValueError, match=r"^a: expected a JSON value, found b''; b: expected a JSON value"):
        metadata.parse({"a": b"", "b": b""})


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000])
def test_a_damaged_file_holds_none(workspace: Workspace, text: str) -> None:
    (workspace.path / "metadata.json").write_text(text)
    assert metadata.load(workspace) == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("A1", "A1"),
        ("007", "007"),
        ("true", True),
        ('["a"]', ["a"]),
        ("NaN", "NaN"),
        ("", ""),
        ("{", "{"),
    ],
)
def test_a_value_of_the_command_line_is_json_or_text(text: str, value: Any) -> None:
    assert metadata.parse_text(text) == value


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("run=3", True),
        ("run=03", False),
        ("name=3", True),
        ("flag=true", True),
        ("flag=1", False),
        ('tags=["a"]', True),
        ("empty=", True),
        ("run=", False),
        ("run", True),
        ("other", False),
        ("none=null", True),
    ],
)
def test_a_condition_is_compared_as_text_and_as_json(condition: str, expected: bool) -> None:
    found = {"run": 3, "name": "3", "flag": True, "tags": ["a"], "empty": "", "none": None}
    assert metadata.has_text(found, condition) is expected


def test_values_are_equal_as_json() -> None:
    found = {"run": 1, "flag": True, "nested": {"a": [1]}}
    assert metadata.has_values(found, {"run": 1.0, "nested": {"a": [1]}})
    assert not metadata.has_values(found, {"run": True})
    assert not metadata.has_values(found, {"flag": 1})
    assert not metadata.has_values(found, {"missing": None})
