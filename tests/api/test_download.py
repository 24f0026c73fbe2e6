from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from localrun import fs
from localrun.api.download import OutputCopier
from localrun.errors import OutputsError, UsageError
from localrun.task.record import RunPlan, TaskRecord
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


LINKED = (
    DESCRIPTOR.partition("outputs:")[0]
    + """\
outputs:
  f: {type: file, description: f, display_name: F}
  fs: {type: {id: array, subtype: file}, description: fs, display_name: Fs}
"""
)


@pytest.fixture
def linked(workspace: Workspace) -> Workspace:
    """The folder of a task whose output `f` and array `fs` are links, as the container saw them."""
    workspace.descriptor.write_text(LINKED)
    (workspace.outputs / "run1/items").mkdir(parents=True)
    (workspace.outputs / "run1/best").write_text("best")
    (workspace.outputs / "run1/items/array.yml").write_text("size: 2")
    (workspace.outputs / "run1/items/0").symlink_to("../best")
    (workspace.outputs / "run1/items/1").symlink_to("/outputs/run1/best")
    (workspace.outputs / "f").symlink_to("/outputs/run1/best")
    (workspace.outputs / "fs").symlink_to("../outputs/run1/items")
    return workspace


def test_links_are_delivered_as_the_files_that_the_container_saw(linked: Workspace, tmp_path: Path) -> None:
    best = str(linked.outputs / "run1/best")
    place = tmp_path / "out"
    found = OutputCopier(place).copy(record(linked, f=best, fs=[best, best]), linked)
    assert found == {"f": str(place / "f"), "fs": [str(place / "fs/0"), str(place / "fs/1")]}
    assert [(place / name).read_text() for name in ("f", "fs/0", "fs/1")] == ["best"] * 3
    assert not any(path.is_symlink() for path in place.rglob("*"))


@pytest.mark.parametrize("target", ["/inputs/a", "../../secret", "f", "missing", "/etc/passwd"])
def test_an_output_that_is_not_delivered_is_an_error_that_names_it(
    linked: Workspace, tmp_path: Path, target: str
) -> None:
    (linked.outputs / "f").unlink()
    (linked.outputs / "f").symlink_to(target)
    copier = OutputCopier(tmp_path / "out")
    with pytest.raises(OutputsError, match="cannot copy 1 of 2 outputs") as caught:
        copier.copy(record(linked, fs=[]), linked)
    assert [problem.path for problem in caught.value.problems] == ["outputs.f"]
    assert names(tmp_path / "out") == ["fs"]  # all others are


def test_outputs_of_an_imported_task_without_its_files_are_an_error(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.outputs.rmdir()
    imported = record(workspace, sum="/elsewhere/outputs/sum").replace(plan=RunPlan())
    with pytest.raises(OutputsError, match="cannot copy 1 of 1 output"):
        OutputCopier(tmp_path / "out").copy(imported, workspace)


def test_an_output_that_is_gone_is_an_error_if_it_was_valid(linked: Workspace, tmp_path: Path) -> None:
    (linked.outputs / "run1/best").unlink()
    (linked.outputs / "f").unlink()
    with pytest.raises(OutputsError) as caught:
        OutputCopier(tmp_path / "out").copy(record(linked, f=str(linked.outputs / "run1/best")), linked)
    assert caught.value.problems[0].path == "outputs.f"


def test_links_to_folders_in_a_circle_end(linked: Workspace, tmp_path: Path) -> None:
    (linked.outputs / "run1/items/again").symlink_to("../items")
    copier = OutputCopier(tmp_path / "out")
    copier.copy(record(linked, fs=[]), linked)
    assert copier.warnings == ["fs/again was not copied: circular link"]


def test_a_sparse_output_is_copied_with_its_holes(workspace: Workspace, tmp_path: Path) -> None:
    with (workspace.outputs / "sum").open("wb") as stream:
        stream.truncate(1024**4)
    OutputCopier(tmp_path / "out").copy(record(workspace), workspace)
    status = (tmp_path / "out/sum").stat()
    assert (status.st_size, status.st_blocks) == (1024**4, 0)


def test_an_output_that_does_not_fit_on_the_disk_is_named_and_others_are_copied(
    linked: Workspace, tmp_path: Path
) -> None:
    (linked.outputs / "f").unlink()
    (linked.outputs / "f").write_bytes(bytes(17 * 1024**2))
    copier = OutputCopier(tmp_path / "out", 0.1)
    with pytest.raises(UsageError, match="not enough disk space: 17 MiB more") as caught:
        copier.copy(record(linked), linked)
    assert [problem.path for problem in caught.value.problems] == ["outputs.f"]
    assert names(tmp_path / "out") == ["fs"]


def test_copies_have_the_mode_of_the_umask(linked: Workspace, tmp_path: Path) -> None:
    (linked.outputs / "run1/best").chmod(0o600)
    (linked.outputs / "run1/items").chmod(0o700)
    before = os.umask(0o022)
    try:
        OutputCopier(tmp_path / "out").copy(record(linked), linked)
    finally:
        os.umask(before)
    modes = [(tmp_path / "out" / name).stat().st_mode & 0o777 for name in ("f", "fs", "fs/0")]
    assert modes == [0o644, 0o755, 0o644]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_replaced_folder_leaves_no_temporary_name(
    linked: Workspace, tmp_path: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(fs, "exchange", lambda *_: False)
    for _ in range(2):
        OutputCopier(tmp_path / "out").copy(record(linked), linked)
    assert names(tmp_path / "out") == ["f", "fs"]


def test_a_folder_that_an_interrupted_copy_moved_is_put_back(tmp_path: Path) -> None:
    place = tmp_path / "out"
    pid = 2**22 + 1  # no process has it
    for name, exists in (("fs", False), ("kept", True)):
        (place / f".{name}.{pid}-0a.localrun-tmp.old").mkdir(parents=True)
        os.utime(place / f".{name}.{pid}-0a.localrun-tmp.old", (0, 0))
        if exists:
            (place / name).mkdir()
    (place / f".f.{pid}-0b.localrun-tmp").touch()
    os.utime(place / f".f.{pid}-0b.localrun-tmp", (0, 0))
    copier = OutputCopier(place)
    assert names(place) == [f".kept.{pid}-0a.localrun-tmp.old", "fs", "kept"]
    assert [warning.partition(";")[0].partition(" as ")[0] for warning in copier.warnings] == [
        f"an interrupted copy had moved {place}/fs",
        "an interrupted copy left the former kept",
    ]
