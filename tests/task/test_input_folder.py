from __future__ import annotations

import os
from pathlib import Path

import pytest

from localrun.copying import DiskLimit
from localrun.errors import Cause, LocalrunError
from localrun.task.file_state import FileState
from localrun.task.input_folder import changed_files, link_mounted_files, prepare_attempt, remove_copies
from localrun.task.record import RunPlan
from localrun.task.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "task")
    (made.inputs / "fs").mkdir(parents=True)
    (made.inputs / "a").write_text("3")
    (made.inputs / "fs/0").write_text("item")
    return made


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_each_attempt_gets_the_inputs_as_they_were_submitted(workspace: Workspace) -> None:
    submitted = content(workspace.inputs)
    for left in (2, 1, 0):
        prepare_attempt(workspace, DiskLimit(), keep=left > 0)
        assert content(workspace.inputs) == submitted
        (workspace.inputs / "a").write_text("changed")
        (workspace.inputs / "new").write_text("new")
        (workspace.inputs / "fs/0").unlink()
    assert sorted(path.name for path in workspace.path.iterdir()) == ["inputs"]


@pytest.mark.parametrize("keep", [True, False])
def test_a_death_after_the_used_inputs_were_moved_away_is_repaired(workspace: Workspace, keep: bool) -> None:
    submitted = content(workspace.inputs)
    prepare_attempt(workspace, DiskLimit(), keep=True)
    workspace.inputs.rename(workspace.path / "moved")
    prepare_attempt(workspace, DiskLimit(), keep=keep)
    assert content(workspace.inputs) == submitted


def test_without_retries_there_is_no_second_copy(workspace: Workspace) -> None:
    prepare_attempt(workspace, DiskLimit(), keep=False)
    assert not workspace.pristine_inputs.exists()


def test_the_copy_is_deleted_after_the_last_attempt(workspace: Workspace) -> None:
    prepare_attempt(workspace, DiskLimit(), keep=True)
    remove_copies(workspace)
    assert not workspace.pristine_inputs.exists()


def test_a_copy_that_would_fill_the_disk_is_refused_and_not_left(workspace: Workspace) -> None:
    with (workspace.inputs / "large").open("wb") as stream:
        stream.write(bytes(17 * 1024**2))
    with pytest.raises(LocalrunError) as caught:
        prepare_attempt(workspace, DiskLimit(0.1), keep=True)
    assert caught.value.cause is Cause.DISK_FULL
    assert sorted(path.name for path in workspace.path.iterdir()) == ["inputs"]


def test_a_placeholder_becomes_a_link_and_the_file_is_not_touched(
    workspace: Workspace, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text("mine")
    own.chmod(0o640)
    before = own.stat()
    (workspace.inputs / "f").touch()
    for _ in range(2):
        link_mounted_files(workspace, [(str(own), "f"), (str(own), "a"), ("/gone", "missing")])
    assert (workspace.inputs / "f").readlink() == own
    assert (workspace.inputs / "f").read_text() == "mine"
    assert (workspace.inputs / "a").read_text() == "3"  # a file with content is not a placeholder
    assert not (workspace.inputs / "missing").exists()
    after = own.stat()
    assert (after.st_mode, after.st_nlink, after.st_mtime_ns) == (before.st_mode, 1, before.st_mtime_ns)


def test_no_file_of_the_user_is_made_writable_through_a_link(workspace: Workspace, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.touch(0o600)
    workspace.outputs.mkdir()
    (workspace.inputs / "f").symlink_to(own)
    workspace.make_accessible(writable_inputs=True)
    assert own.stat().st_mode & 0o777 == 0o600


def test_a_file_that_changes_while_the_task_is_active_is_named(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("old")
    states = {"f": FileState.of(own.stat()), "g": FileState.of(own.stat())}
    plan = RunPlan(
        mounts=[(str(own), "f"), (str(tmp_path / "gone"), "g"), (str(own), "older")], mount_states=states
    )
    own.write_text("longer")
    os.utime(own)
    assert list(changed_files(plan)) == [
        f"input f: {own} changed while the task was active: it had 3 bytes, now 6",
        f"input g: {tmp_path / 'gone'} changed while the task was active: "
        "it is no longer readable: No such file or directory",
    ]
