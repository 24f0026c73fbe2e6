"""Manual tasks: tasks without a container, which clients complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localrun.app import App
from localrun.errors import ShuttingDown, TaskExists, UsageError
from localrun.settings import Settings
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.workspace import Workspace
from tests.support.environment import make_environment


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with make_environment(tmp_path) as env:
        yield env.app


def test_a_free_form_task_is_active_until_it_is_completed(app: App) -> None:
    task = app.manager.create_task({"type": "test"}, "ray")
    assert app.manager.get_task(task.id) is task
    assert (task.record.state, task.record.submitted) == (TaskState.CREATED, {"type": "test"})
    record = app.manager.complete_task(task.id, {"answer": 42})
    assert record is not None
    assert (record.state, record.result) == (TaskState.FINISHED, {"answer": 42})
    assert app.manager.get_task(task.id) is None
    assert app.manager.find_task(task.id) == record


def test_the_listeners_of_the_first_event_find_the_task_without_reading_its_record(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[TaskRecord | None] = []
    app.manager.subscribe(lambda event: found.append(app.manager.find_task(event.task_id)))
    monkeypatch.setattr(Workspace, "load", lambda _workspace: pytest.fail("the record was read"))
    task = app.manager.create_task({"type": "test"}, "ray")
    assert found == [task.record]
    assert app.store.is_active(task.id)


def test_lists_are_copies_in_the_order_of_creation(app: App) -> None:
    ids = [app.manager.create_task({}, name).id for name in ("ray", "eve", "ray")]
    app.manager.active_tasks.clear()
    assert [record.id for record in app.manager.active_tasks] == ids
    assert [record.id for record in app.manager.get_tasks_by_assignee("ray")] == [ids[0], ids[2]]


def test_the_counts_add_up(app: App) -> None:
    tasks = [app.manager.create_task({}) for _ in range(3)]
    app.manager.complete_task(tasks[0].id)
    app.manager.kill_task(tasks[1].id)
    assert app.manager.get_status() == {
        "active_tasks_count": 1,
        "completed_tasks_count": 2,
        "total_tasks_processed": 3,
    }


def test_an_unknown_task_cannot_be_completed_and_an_ended_one_not_again(app: App) -> None:
    assert app.manager.complete_task("nobody") is None
    task = app.manager.create_task({})
    app.manager.complete_task(task.id)
    with pytest.raises(UsageError, match="has ended already"):
        app.manager.complete_task(task.id)


def test_a_task_with_a_container_is_not_completed_by_hand(tmp_path: Path) -> None:
    with make_environment(tmp_path, lambda container: 0) as env:
        record = env.run(values={"a": 1, "b": 2})
        with pytest.raises(UsageError, match="ends with its container"):
            env.app.manager.complete_task(record.id)


def test_creating_the_same_task_twice_is_creating_it_once(app: App) -> None:
    first = app.manager.create_task({"x": 1}, "ray", task_id="mine")
    assert app.manager.create_task({"x": 1}, "ray", task_id="mine") is first
    with pytest.raises(TaskExists):
        app.manager.create_task({"x": 2}, "ray", task_id="mine")
    app.manager.complete_task("mine")
    with pytest.raises(TaskExists):
        app.manager.create_task({"x": 1}, "ray", task_id="mine")


@pytest.mark.parametrize("task_id", ["../evil", "", "last", "a/b", "x" * 65, ".hidden", "ü"])
def test_an_id_that_could_be_mistaken_is_refused(app: App, task_id: str) -> None:
    with pytest.raises(UsageError):
        app.store.create(task_id)


def test_a_task_of_another_process_can_be_completed_too(app: App) -> None:
    task = app.manager.create_task({})
    other = App(app.settings, app.engine)
    assert [record.id for record in other.manager.active_tasks] == [task.id]
    assert other.manager.complete_task(task.id) is not None
    with pytest.raises(UsageError, match="has ended already"):
        app.manager.complete_task(task.id)


def test_what_another_process_has_ended_or_deleted_is_active_no_more(app: App) -> None:
    done, gone, there = (app.manager.create_task({"n": n}) for n in range(3))
    other = App(app.settings, app.engine)
    for task in (done, gone):
        other.manager.complete_task(task.id, {"by": "other"})
    other.store.remove(other.store.open(gone.id))
    assert app.manager.get_task(done.id) is None
    found = app.manager.find_task(done.id)
    assert found is not None
    assert found.result == {"by": "other"}
    assert [record.id for record in app.manager.active_tasks] == [there.id]
    assert [record.id for record in app.manager.completed_tasks] == [done.id]
    assert app.manager.find_task(gone.id) is None
    assert app.manager.get_status()["active_tasks_count"] == 1


def test_tasks_without_a_descriptor_are_found_in_the_order_they_came_also_once_they_have_ended(
    app: App,
) -> None:
    ids = [app.manager.create_task({"n": n}).id for n in range(8)]
    for task_id in (ids[3], ids[0], ids[6]):
        app.manager.complete_task(task_id)
    assert [workspace.id for workspace in app.store.newest_first()] == ids[::-1]
    assert app.find("last")[1].id == ids[-1]


def test_completed_tasks_are_bounded_in_memory_and_found_on_disk(tmp_path: Path) -> None:
    with make_environment(tmp_path, keep_completed=2) as env:
        ids = [env.app.manager.create_task({"n": n}).id for n in range(5)]
        for task_id in ids:
            env.app.manager.complete_task(task_id)
        assert [record.id for record in env.app.manager.completed_tasks] == ids[3:]
        assert env.app.manager.get_status()["completed_tasks_count"] == 5
        first = env.app.manager.find_task(ids[0])
        assert first is not None
        assert first.submitted == {"n": 0}


def test_no_task_is_taken_once_it_shuts_down(app: App) -> None:
    app.manager.shutdown()
    with pytest.raises(ShuttingDown, match="shutting down"):
        app.manager.create_task({})


values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4)


@settings(max_examples=40, deadline=None)
@given(payload=st.dictionaries(st.text().filter(lambda key: key not in ("bundle", "image")), values))
def test_any_other_object_is_kept_as_it_came(
    tmp_path_factory: pytest.TempPathFactory, payload: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("free")
    app = App(Settings(home=folder / "home", cache=folder / "cache"))
    task = app.manager.create_task(payload)
    assert app.store.open(task.id).load().submitted == payload
