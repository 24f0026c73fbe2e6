from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localrun.errors import IllegalTransition, LocalrunError, TaskKilled
from localrun.task.active import ActiveTask
from localrun.task.events import Event
from localrun.task.record import TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.store import TaskStore
from tests.support.full_disk import fail_next_write


@pytest.fixture
def seen() -> list[Event]:
    return []


@pytest.fixture
def task(tmp_path: Path, seen: list[Event]) -> ActiveTask:
    workspace = TaskStore(tmp_path).create()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b"), workspace, [seen.append])
    task.create()
    return task


def test_every_state_is_stamped_written_down_and_told(task: ActiveTask, seen: list[Event]) -> None:
    task.transition(TaskState.PROVISIONED, inputs={"a": 1})
    on_disk = task.workspace.load()
    assert on_disk == task.record
    assert [state for state, _ in on_disk.history] == [TaskState.CREATED, TaskState.PROVISIONED]
    assert on_disk.history[0][1] <= on_disk.history[1][1]
    assert [event.message for event in seen if event.kind == "state"] == ["CREATED", "PROVISIONED"]


def test_a_state_that_does_not_follow_is_refused_and_changes_nothing(
    task: ActiveTask, seen: list[Event]
) -> None:
    before, told = task.record, len(seen)
    with pytest.raises(IllegalTransition):
        task.transition(TaskState.RUNNING, message="no")
    assert (task.record, len(seen)) == (before, told)


def test_a_step_is_a_record_with_its_times(task: ActiveTask, seen: list[Event]) -> None:
    task.start_step(StepName.TASK, "container", log="logs/task.log")
    task.finish_step(exit_code=3, failed=True)
    (step,) = task.record.steps
    assert (step.name, step.how, step.exit_code, step.log) == ("task", "container", 3, "logs/task.log")
    assert step.seconds is not None
    assert step.seconds >= 0
    assert [event.data["status"] for event in seen if event.kind == "step"] == ["started", "failed"]


def test_logs_and_progress_are_told_but_not_kept(task: ActiveTask, seen: list[Event]) -> None:
    task.emit("log", "", stream="stdout", text="hello")
    task.emit("progress", "loading", done=1, total=2)
    task.emit("note", "kept")
    kept = (task.workspace.path / "events.jsonl").read_text()
    assert "hello" not in kept
    assert "loading" not in kept
    assert "kept" in kept
    assert len(seen) == 4


def test_a_warning_is_part_of_the_record(task: ActiveTask) -> None:
    task.warn("first")
    task.warn("second")
    assert task.record.warnings == ["first", "second"]


def test_a_task_can_be_cancelled_from_this_process(task: ActiveTask) -> None:
    task.check_cancelled()
    task.cancel()
    with pytest.raises(TaskKilled):
        task.check_cancelled()


def test_a_task_can_be_cancelled_from_another_process_through_its_folder(task: ActiveTask) -> None:
    task.workspace.request_kill()
    assert task.is_cancelled


def test_waiting_ends_with_the_task(task: ActiveTask) -> None:
    assert not task.wait(0)
    task.transition(TaskState.KILLED)
    assert task.wait(0)


def fill_disk(task: ActiveTask) -> None:
    """Make the disk full, for events and for the record."""
    folder = task.workspace.path
    (folder / "events.jsonl").unlink()
    (folder / "events.jsonl").symlink_to("/dev/full")
    fail_next_write(folder / "task.json")


def test_a_full_disk_does_not_keep_a_task_from_going_on(task: ActiveTask, seen: list[Event]) -> None:
    fill_disk(task)
    task.transition(TaskState.PROVISIONED)
    assert (task.record.state, task.is_saved) == (TaskState.PROVISIONED, False)
    assert seen[-1].data["state"] == "PROVISIONED"
    task.save()
    assert task.is_saved
    assert task.workspace.load() == task.record


def test_a_task_whose_first_record_cannot_be_written_is_none(tmp_path: Path) -> None:
    workspace = TaskStore(tmp_path).create()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b"), workspace)
    (workspace.path / "task.json").symlink_to("/dev/full")
    with pytest.raises(LocalrunError, match="no space left"):
        task.create()


def test_who_waits_for_the_end_is_woken_by_it(tmp_path: Path) -> None:
    workspace = TaskStore(tmp_path).create()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b"), workspace)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(task.wait, 60)
        while task._ended._event is None:  # until it waits
            time.sleep(0.001)
        task.abandon()
        assert waiting.result(60)


def test_who_waits_for_a_request_to_stop_is_woken_by_it(tmp_path: Path) -> None:
    workspace = TaskStore(tmp_path).create()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b"), workspace)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(task.wait_for_cancel, 60)
        while task._cancelled._event is None:
            time.sleep(0.001)
        task.cancel()
        assert waiting.result(60)
    assert task.wait_for_cancel(60)


@pytest.mark.parametrize(("has_run", "kept"), [(False, ["early"]), (True, [])])
def test_starting_over_clears_the_outputs_only_if_the_container_has_run(
    task: ActiveTask, has_run: bool, kept: list[str]
) -> None:

    task.workspace.outputs.mkdir(parents=True, exist_ok=True)
    (task.workspace.outputs / "early").write_text("1")
    for state in ("PROVISIONED", "QUEUING", "QUEUED", "PENDING", *(["RUNNING"] if has_run else [])):
        task.transition(TaskState(state))
    task.start_over()
    assert [path.name for path in task.workspace.outputs.iterdir()] == kept
