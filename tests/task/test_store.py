from __future__ import annotations

import subprocess
from itertools import count
from pathlib import Path

import pytest

from localrun.errors import LocalrunError
from localrun.task.store import TaskStore
from tests.support.stored_tasks import made


def test_git_ignores_the_tasks_by_itself(home: TaskStore, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    made(home)
    shown = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain"], capture_output=True, check=True
    )
    assert shown.stdout == b""


def test_tasks_that_are_made_at_once_keep_their_order(
    home: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a clock that is finer than the file system's
    ticks = count(10**18)
    monkeypatch.setattr("localrun.task.workspace.time.time_ns", lambda: next(ticks))
    ids = []
    for _ in range(20):
        workspace = home.create()
        workspace.create_dirs(b"name: x\n")
        ids.append(workspace.id)
    assert [workspace.id for workspace in home.newest_first()] == ids[::-1]


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalrunError, match="cannot write to") as caught:
        TaskStore(tmp_path / "file" / "home").create()
    assert "LOCALRUN_HOME" in caught.value.remedy


def test_a_task_is_active_from_its_claim_to_its_end(home: TaskStore) -> None:
    workspace = made(home)
    claim = home.acquire(workspace.id, new=True)
    assert claim is not None
    assert home.active_ids() == [workspace.id]
    claim.release(ended=True)
    assert home.active_ids() == []


def test_a_forgotten_task_leaves_nothing(home: TaskStore) -> None:
    workspace = made(home)
    claim = home.acquire(workspace.id, new=True)
    home.remove(workspace, claim)
    assert (list(home.tasks.iterdir()), home.active_ids()) == ([], [])
    home.remove(workspace)
    assert home.is_missing(workspace.id)


def test_a_folder_without_tasks_is_empty_and_not_made_by_looking(home: TaskStore) -> None:
    assert (list(home.newest_first()), home.active_ids(), home.is_own) == ([], [], False)
    assert not home.path.exists()
