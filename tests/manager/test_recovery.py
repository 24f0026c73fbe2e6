"""What a process left behind when it died: here its death is played by giving up its claim."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.labels import LABEL_TASK
from localrun.runner.container_spec import local_spec
from localrun.runner.usage import UsageFile, UsageSample, aggregate
from localrun.task.active import ActiveTask
from localrun.task.record import RunPlan, TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.support.environment import DESCRIPTOR, IMAGE, Environment, make_environment


def hang(container: FakeContainer) -> int:
    container.stdout.write("working\n")
    container.path("/outputs/sum").write_text("7")
    container.stopped.wait()
    return 0


def orphan(env: Environment, home: TaskStore | None = None, *, running: bool = True) -> ActiveTask:
    """A task whose process died while its container ran."""
    home = home or env.app.store
    workspace = home.create()
    claim = home.acquire(workspace.id, new=True)
    assert claim is not None
    workspace.create_dirs()
    workspace.descriptor.write_text(DESCRIPTOR)
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b", image=IMAGE, plan=RunPlan()), workspace)
    task.create()
    for state in ("PROVISIONED", "QUEUING", "QUEUED", "PENDING"):
        task.transition(TaskState(state))
    if running:
        spec = local_spec(
            task.record,
            inputs=workspace.inputs,
            outputs=workspace.outputs,
            hosts=workspace.write_hosts(),
            home=home.path,
        )
        handle = env.engine.create(spec)
        env.engine.start(handle)
        task.transition(TaskState.RUNNING, container=handle)
    claim.release(ended=False)
    return task


def test_the_task_of_a_dead_process_is_ended_and_its_container_removed(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        sample = UsageSample(
            time=1.0, cpu_seconds=1, memory=5, memory_peak=6, read_bytes=0, written_bytes=0, pids=1
        )
        UsageFile(task.workspace.usage).add(sample)
        (record,) = env.app.recovery.sweep()
        assert env.engine.find({LABEL_TASK: ""}) == []
    assert (record.id, record.state, record.cause) == (task.id, TaskState.FAILED, "RUNNER_TERMINATED")
    assert record.remedy == f"Run it again: `localrun rerun {record.short_id}`."
    assert record.usage == aggregate([sample])
    assert task.workspace.log.read_text() == "working\n"
    assert (task.workspace.outputs / "sum").read_text() == "7"
    assert env.app.store.active_ids() == []


def test_a_task_that_had_no_container_yet_is_ended_too(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        task = orphan(env, running=False)
        assert [record.id for record in env.app.recovery.sweep()] == [task.id]


def test_the_task_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = env.submit(values={"a": 1, "b": 2})
        assert env.app.recovery.sweep() == []
        assert env.app.recovery.end(task.id) is None
        env.app.manager.kill(task)
        env.app.manager.wait(task)
        assert task.record.state is TaskState.KILLED


def test_a_task_that_was_to_be_killed_when_its_process_died_ends_killed(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        task.workspace.request_kill()
        assert [record.state for record in env.app.recovery.sweep()] == [TaskState.KILLED]


def test_a_process_that_died_before_it_wrote_a_record_leaves_nothing(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        workspace = env.app.store.create()
        claim = env.app.store.acquire(workspace.id, new=True)
        assert claim is not None
        claim.release(ended=False)
        assert env.app.recovery.sweep() == []
        assert list(env.app.store.newest_first()) == []
        assert env.app.store.active_ids() == []


def test_tasks_of_another_folder_of_the_user_are_looked_after(tmp_path: Path) -> None:
    elsewhere = TaskStore(tmp_path / "elsewhere" / ".localrun")
    with make_environment(tmp_path, hang) as env:
        task = orphan(env, elsewhere)
        assert [record.id for record in env.app.recovery.sweep()] == [task.id]
        assert env.engine.find({LABEL_TASK: ""}) == []
    assert elsewhere.open(task.id).load().state is TaskState.FAILED


def test_a_container_whose_task_was_deleted_is_removed(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        env.app.store.remove(task.workspace)
        env.app.recovery.sweep()
        assert env.engine.find({LABEL_TASK: ""}) == []


def test_a_container_that_outlived_its_task_is_removed(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        task.transition(TaskState.FAILED)
        claim = env.app.store.acquire(task.id)
        assert claim is not None
        claim.release(ended=True)
        assert env.app.recovery.sweep() == []
        assert env.engine.find({LABEL_TASK: ""}) == []


def test_a_detached_task_is_left_to_the_process_that_goes_on_with_it(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        task.update(plan=RunPlan(detached=True))
        task.save()
        assert env.app.recovery.sweep() == []
        assert len(env.engine.find({LABEL_TASK: task.id})) == 1


def test_two_processes_that_look_at_once_end_a_task_once(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        other = env.app.store.acquire(task.id)
        assert other is not None
        assert env.app.recovery.sweep() == []
        other.release(ended=False)
        assert len(env.app.recovery.sweep()) == 1


def test_the_folder_of_a_user_who_is_not_us_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(hang)
    with make_environment(tmp_path, engine=engine) as env:
        foreign = TaskStore(tmp_path / "foreign" / ".localrun")
        orphan(env, foreign)
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
        assert env.app.recovery.sweep() == []
        (left,) = engine.find({LABEL_TASK: ""})
        engine.remove(left.handle)
