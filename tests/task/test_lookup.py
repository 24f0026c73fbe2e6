from __future__ import annotations

import pytest

from localrun.errors import TaskNotFound
from localrun.task.lookup import find
from localrun.task.record import RunPlan, TaskRecord
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace
from tests.support.stored_tasks import made


def test_a_task_is_found_by_its_id_by_a_unique_beginning_and_as_the_last(home: TaskStore) -> None:
    older, newer = made(home, age=60), made(home)
    assert find(home, older.id).path == older.path
    assert find(home, older.id[:13].upper()).path == older.path
    assert find(home, "last").path == newer.path
    assert [workspace.id for workspace in home.newest_first()] == [newer.id, older.id]


def test_a_beginning_that_several_tasks_share_is_refused_with_their_ids(home: TaskStore) -> None:
    for name in ("abc1", "abc2"):
        home.create()
        (home.tasks / name).mkdir()
    with pytest.raises(TaskNotFound, match="multiple tasks start with 'abc': abc1, abc2"):
        find(home, "abc")


@pytest.mark.parametrize("prefix", ["zzz", "", "../tasks", "/", "."])
def test_what_names_no_task_is_refused(home: TaskStore, prefix: str) -> None:
    made(home)
    with pytest.raises(TaskNotFound, match="no task"):
        find(home, prefix)


def test_the_last_task_of_an_empty_folder_is_refused_with_a_remedy(home: TaskStore) -> None:
    with pytest.raises(TaskNotFound) as caught:
        find(home, "last")
    assert "localrun run" in caught.value.remedy


def of_iexec(home: TaskStore, task_id: str, age: int) -> Workspace:
    workspace = made(home, age)
    plan = RunPlan(profile="iexec", environment={"IEXEC_TASK_ID": task_id})
    workspace.save(TaskRecord(id=workspace.id, bundle="b", plan=plan))
    return workspace


def test_a_task_of_iexec_is_found_by_its_task_id_also_by_a_beginning_of_it(home: TaskStore) -> None:
    made(home)
    first, other = of_iexec(home, f"0x{'a1' * 32}", 60), of_iexec(home, f"0x{'a2' * 32}", 40)
    again = of_iexec(home, f"0x{'a1' * 32}", 20)
    assert find(home, f"0x{'a2' * 32}").id == other.id
    assert find(home, "0xA2A2").id == other.id
    assert find(home, f"0x{'a1' * 32}").id == again.id != first.id  # the newest with these inputs
    with pytest.raises(TaskNotFound, match="multiple tasks start with '0xa'"):
        find(home, "0xa")
    with pytest.raises(TaskNotFound, match="no task '0xb'"):
        find(home, "0xb")
