"""Metadata of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize("notes", [{"a": 1}, {"a": ""}, {"": "a"}, {1: "a"}, ["a"], "a", None])
def test_what_is_no_text_is_refused_and_changes_nothing(workspace: Workspace, notes: Any) -> None:
    metadata.save(workspace, {"kept": "yes"})
    with pytest.raises(UsageError) as caught:
        metadata.save(workspace, notes)
    assert len(caught.value.problems) == 1
    assert metadata.load(workspace) == {"kept": "yes"}


def test_all_that_does_not_fit_is_told(workspace: Workspace) -> None:
    with pytest.raises(UsageError) as caught:
        metadata.save(workspace, {"a": 1, "b": "", "c": "fine"})  # type: ignore[dict-item]
    assert [problem.path for problem in caught.value.problems] == ["metadata.a", "metadata.b"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', "[" * 100_000])
def test_a_damaged_file_holds_none(workspace: Workspace, text: str) -> None:
    (workspace.path / "metadata.json").write_text(text)
    assert metadata.load(workspace) == {}
