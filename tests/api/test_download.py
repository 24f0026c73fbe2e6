from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from localrun.api.download import OutputCopier
from localrun.errors import UsageError
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace
from tests.support.environment import DESCRIPTOR


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The folder of a task with one output, `sum`."""
    made = TaskStore(tmp_path / "home").create()
    made.outputs.mkdir(exist_ok=True)
    made.descriptor.write_text(DESCRIPTOR)
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def record(workspace: Workspace, **outputs: object) -> TaskRecord:
    return TaskRecord(id=workspace.id, bundle="b", state=TaskState.FINISHED, outputs=outputs)


def test_outputs_are_copied_and_their_paths_are_those_of_the_copies(
    workspace: Workspace, tmp_path: Path
) -> None:
    (workspace.outputs / "sum").write_bytes(b"\x00\x01")
    found = OutputCopier(tmp_path / "a/b").copy(
        record(workspace, sum=str(workspace.outputs / "sum"), other="text"), workspace
    )
    assert found == {"sum": str(tmp_path / "a/b/sum"), "other": "text"}
    assert (tmp_path / "a/b/sum").read_bytes() == b"\x00\x01"
    assert names(tmp_path / "a/b") == ["sum"]


def test_a_folder_is_copied_whole_and_replaces_an_older_one(workspace: Workspace, tmp_path: Path) -> None:
    place = tmp_path / "out"
    (place / "sum").mkdir(parents=True)
    (place / "sum/old").write_text("old")
    (workspace.outputs / "sum/deep").mkdir(parents=True)
    (workspace.outputs / "sum/deep/0").write_text("new")
    found = OutputCopier(place).copy(
        record(workspace, sum=[str(workspace.outputs / "sum/deep/0")]), workspace
    )
    assert found == {"sum": [str(place / "sum/deep/0")]}
    assert [path.relative_to(place).as_posix() for path in sorted(place.rglob("*"))] == [
        "sum",
        "sum/deep",
        "sum/deep/0",
    ]


def test_undeclared_files_are_not_copied(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/Makefile").write_text("mine")
    (workspace.outputs / "Makefile").write_text("theirs")
    (workspace.outputs / "sum").write_text("7")
    OutputCopier(tmp_path / "out").copy(record(workspace, sum=7), workspace)
    assert (tmp_path / "out/Makefile").read_text() == "mine"
    assert (tmp_path / "out/sum").read_text() == "7"


def test_a_link_at_the_target_is_replaced_and_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out/sum").symlink_to(tmp_path / "precious")
    (workspace.outputs / "sum").write_text("7")
    OutputCopier(tmp_path / "out").copy(record(workspace, sum=7), workspace)
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "out/sum").is_symlink()


def test_no_link_is_followed_out_of_the_tasks_folder(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (workspace.outputs / "sum").mkdir()
    (workspace.outputs / "sum/out").symlink_to(tmp_path / "secret")
    (workspace.outputs / "sum/in").symlink_to("0")
    (workspace.outputs / "sum/0").write_text("0")
    os.mkfifo(workspace.outputs / "sum/pipe")
    delivery = OutputCopier(tmp_path / "out")
    delivery.copy(record(workspace), workspace)
    assert names(tmp_path / "out/sum") == ["0", "in"]
    assert not (tmp_path / "out/sum/in").is_symlink()
    assert [warning.split(" was")[0] for warning in delivery.warnings] == ["sum/out", "sum/pipe"]


def test_outputs_of_a_failed_task_are_copied(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.outputs / "sum").write_text("not a number")
    assert OutputCopier(tmp_path / "out").copy(record(workspace), workspace) == {}
    assert (tmp_path / "out/sum").read_text() == "not a number"


def test_an_unwritable_folder_is_reported_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file/out"):
        OutputCopier(tmp_path / "file/out")


def test_an_empty_folder_is_removed(tmp_path: Path) -> None:
    OutputCopier(tmp_path / "a/b").rollback()
    assert not (tmp_path / "a").exists()
    (tmp_path / "mine").mkdir()
    OutputCopier(tmp_path / "mine").rollback()
    assert (tmp_path / "mine").exists()


def test_no_partial_output_is_left_when_a_copy_fails(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.outputs / "sum").write_text("7")
    delivery = OutputCopier(tmp_path / "out")
    (tmp_path / "out").rmdir()
    with pytest.raises(UsageError, match="cannot write the outputs"):
        delivery.copy(record(workspace), workspace)
    assert stat.S_ISREG((workspace.outputs / "sum").stat().st_mode)
