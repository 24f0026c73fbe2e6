from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import localrun
import modules.task
from localrun.app import App
from localrun.errors import TaskExists, UsageError
from localrun.manager.manager import TaskManager
from localrun.task.states import TaskState


def test_the_names_of_the_guide_can_be_imported_and_the_other_cannot() -> None:
    assert modules.task.TaskManager is localrun.TaskManager
    assert isinstance(modules.task.task_manager, localrun.TaskManager)
    with pytest.raises(ImportError, match="cannot import name 'TaskHandler'"):
        from modules.task.handler import TaskHandler  # type: ignore[attr-defined]  # noqa: F401


def test_a_new_manager_has_no_tasks(task_manager: TaskManager) -> None:
    assert (task_manager.active_tasks, task_manager.completed_tasks) == ([], [])
    counts = {"active_tasks_count": 0, "completed_tasks_count": 0, "total_tasks_processed": 0}
    assert task_manager.get_status() == counts


def test_a_task_that_is_made_is_active_under_a_new_id(task_manager: TaskManager) -> None:
    task = task_manager.create_task({"type": "test"}, "ray")
    assert uuid.UUID(task.id).version == 4
    assert task_manager.get_task(task.id) is task
    (record,) = task_manager.active_tasks
    assert (record.id, record.submitted, record.assigned_by) == (task.id, {"type": "test"}, "ray")


def test_the_lists_are_copies(task_manager: TaskManager) -> None:
    task_manager.create_task({}, "ray")
    task_manager.active_tasks.clear()
    task_manager.get_all_active_tasks().clear()
    assert len(task_manager.active_tasks) == len(task_manager.get_all_active_tasks()) == 1


def test_tasks_are_found_by_who_assigned_them(task_manager: TaskManager) -> None:
    made = [task_manager.create_task({"n": n}, name) for n, name in enumerate(["ray", "eve", "ray"])]
    found = task_manager.get_tasks_by_assignee("ray")
    assert [record.id for record in found] == [made[0].id, made[2].id]
    assert task_manager.get_tasks_by_assignee("Ray") == []


def test_a_completed_task_moves_to_the_other_list_and_is_still_found(task_manager: TaskManager) -> None:
    task = task_manager.create_task({}, "ray")
    record = task_manager.complete_task(task.id, {"ok": True})
    assert record is not None
    assert (record.state, record.result) == (TaskState.FINISHED, {"ok": True})
    assert task_manager.get_task(task.id) is None
    assert task_manager.find_task(task.id) == record
    assert (task_manager.active_tasks, task_manager.completed_tasks) == ([], [record])


def test_an_unknown_task_is_neither_found_nor_completed(task_manager: TaskManager) -> None:
    assert task_manager.get_task("unknown") is None
    assert task_manager.find_task("unknown") is None
    assert task_manager.complete_task("unknown") is None
    assert task_manager.kill_task("unknown") is None


def test_a_task_is_completed_once(task_manager: TaskManager) -> None:
    task = task_manager.create_task({}, "ray")
    task_manager.complete_task(task.id)
    with pytest.raises(UsageError, match="ended already"):
        task_manager.complete_task(task.id)


def test_the_status_counts_active_tasks_too(task_manager: TaskManager) -> None:
    first = task_manager.create_task({}, "ray")
    task_manager.create_task({}, "ray")
    task_manager.complete_task(first.id)
    counts = {"active_tasks_count": 1, "completed_tasks_count": 1, "total_tasks_processed": 2}
    assert task_manager.get_status() == counts


def test_an_id_is_given_to_one_task_only(task_manager: TaskManager) -> None:
    task = task_manager.create_task({"n": 1}, "ray", task_id="mine")
    assert task_manager.create_task({"n": 1}, "ray", task_id="mine") is task
    with pytest.raises(TaskExists):
        task_manager.create_task({"n": 2}, "ray", task_id="mine")


def test_a_manager_that_was_shut_down_takes_no_more_tasks(task_manager: TaskManager) -> None:
    task_manager.shutdown()
    with pytest.raises(UsageError, match="shutting down"):
        task_manager.create_task({}, "ray")


def test_free_form_tasks_are_there_again_after_a_restart(app_of_tasks: App) -> None:
    made = [app_of_tasks.manager.create_task({"n": n}, "ray").id for n in range(3)]
    app_of_tasks.manager.complete_task(made[1])
    again = App(app_of_tasks.settings, app_of_tasks.engine).manager
    again.recover()
    assert [record.id for record in again.active_tasks] == [made[0], made[2]]
    assert [record.id for record in again.completed_tasks] == [made[1]]
    assert again.complete_task(made[0]) is not None


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(plans=st.lists(st.lists(st.sampled_from(["make", "complete", "kill"]), max_size=8), max_size=4))
def test_no_task_is_lost_or_counted_twice_whatever_threads_do(
    app_of_tasks: App, plans: list[list[str]]
) -> None:
    manager = App(app_of_tasks.settings, app_of_tasks.engine).manager
    known = {record.id for record in manager.active_tasks}
    made: list[str] = []
    ended: list[str] = []

    def act(plan: list[str]) -> None:
        mine: list[str] = []
        for deed in plan:
            if deed == "make":
                mine.append(manager.create_task({}, "ray").id)
                made.append(mine[-1])
            elif mine:
                end: Any = manager.complete_task if deed == "complete" else manager.kill_task
                end(mine[-1])
                ended.append(mine.pop())

    threads = [threading.Thread(target=act, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    active = {record.id for record in manager.active_tasks} - known
    assert active == set(made) - set(ended)
    assert {record.id for record in manager.completed_tasks} == set(ended)
    assert manager.get_status()["total_tasks_processed"] == len(made)
