"""Tasks of a dead process are ended or resumed. The tests release the task's lock to simulate its death."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest.mock import Mock

import pytest
from msgspec.structs import replace

from localrun.app import App
from localrun.engines.base import ContainerSpec, ContainerSummary, Handle, LogChunk
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.labels import LABEL_HOME, LABEL_LEDGER, LABEL_TASK
from localrun.errors import EngineError, OtherEngine
from localrun.runner.container_spec import local_spec
from localrun.runner.usage import UsageFile, UsageSample, aggregate
from localrun.task.active import ActiveTask
from localrun.task.record import RunPlan, StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.store import TaskStore
from tests.support.environment import DESCRIPTOR, IMAGE, Environment, make_environment

SAMPLE = UsageSample(time=1.0, cpu_seconds=1, memory=5, memory_peak=6, read_bytes=0, written_bytes=0, pids=1)
BUNDLE = {"inputs": {"a": 3, "b": 4}}


# -- end orphans ---------------------------------------------------------------------------------


def hang(container: FakeContainer) -> int:
    container.stdout.write("working\n")
    container.path("/outputs/sum").write_text("7")
    container.stopped.wait()
    return 0


def orphan(
    env: Environment, home: TaskStore | None = None, *, running: bool = True, ledger: Path | None = None
) -> ActiveTask:
    """Create a task whose process died while its container ran."""
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
            ledger=ledger,
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
        (record,) = env.app.recovery.end_orphans()
        assert env.engine.find({LABEL_TASK: ""}) == []
    assert (record.id, record.state, record.cause) == (task.id, TaskState.FAILED, "RUNNER_TERMINATED")
    assert record.remedy == f"Run it again: `localrun rerun {record.short_id}`."
    assert record.usage == aggregate([sample])
    assert task.workspace.log.read_text() == "working\n"
    assert (task.workspace.outputs / "sum").read_text() == "7"
    assert env.app.store.active_ids() == []


class Rotated(FakeEngine):
    """An engine that has lost the start of its copy of the log."""

    def logs(self, handle: Handle, *, follow: bool = True, tail: int | None = None) -> Iterator[LogChunk]:
        chunks = super().logs(handle, follow=follow, tail=tail)
        yield from chunks if tail else itertools.islice(chunks, 2, None)


@pytest.mark.parametrize(("written", "missing"), [(3, False), (1, True)])
def test_the_log_of_a_dead_process_is_completed_and_a_gap_is_marked(
    tmp_path: Path, written: int, missing: bool
) -> None:
    # Given four lines of output, of which the dead process has the first ones and the engine the last two
    lines = [f"{word} " * 200 + "\n" for word in ("one", "two", "three", "four")]

    def program(container: FakeContainer) -> int:
        for line in lines:
            container.stdout.write(line)
        container.stopped.wait()
        return 0

    engine = Rotated(program)
    with make_environment(tmp_path, engine=engine) as env:
        task = orphan(env)
        task.workspace.log.write_text("".join(lines[:written]))
        (record,) = env.app.recovery.end_orphans()

    # Then the log has no line twice, and a gap is marked and reported
    mark = "\n[localrun: output is missing here; the engine no longer had it]\n" if missing else ""
    assert task.workspace.log.read_text() == "".join(lines[:written]) + mark + "".join(
        lines[max(2, written) :]
    )
    assert record.message.endswith("four")
    gap = "the log has a gap: localrun did not receive a part of the output"
    assert record.warnings == ([gap] if missing else [])


def test_a_task_that_had_no_container_yet_is_ended_too(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        task = orphan(env, running=False)
        assert [record.id for record in env.app.recovery.end_orphans()] == [task.id]


def test_the_task_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = env.submit(values={"a": 1, "b": 2})
        assert env.app.recovery.end_orphans() == []
        assert env.app.recovery.end(task.id) is None
        env.app.manager.kill(task)
        env.app.manager.wait(task)
        assert task.record.state is TaskState.KILLED


def test_a_task_that_was_to_be_killed_when_its_process_died_ends_killed(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        task.workspace.request_kill()
        assert [record.state for record in env.app.recovery.end_orphans()] == [TaskState.KILLED]


def test_a_process_that_died_before_it_wrote_a_record_leaves_nothing(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        workspace = env.app.store.create()
        claim = env.app.store.acquire(workspace.id, new=True)
        assert claim is not None
        claim.release(ended=False)
        assert env.app.recovery.end_orphans() == []
        assert list(env.app.store.newest_first()) == []
        assert env.app.store.active_ids() == []


def test_tasks_of_another_folder_of_the_user_are_looked_after(tmp_path: Path) -> None:
    elsewhere = TaskStore(tmp_path / "elsewhere" / ".localrun")
    with make_environment(tmp_path, hang) as env:
        task = orphan(env, elsewhere)
        assert [record.id for record in env.app.recovery.end_orphans()] == [task.id]
        assert env.engine.find({LABEL_TASK: ""}) == []
    assert elsewhere.open(task.id).load().state is TaskState.FAILED


def test_tasks_of_processes_with_another_ledger_are_left_to_them(tmp_path: Path) -> None:
    # Given orphaned tasks of two sessions on one engine, each with its own ledger
    ledger = tmp_path / "other.json"
    ledger.touch()
    elsewhere = TaskStore(tmp_path / "elsewhere" / ".localrun")
    with make_environment(tmp_path, hang) as env:
        own, other = orphan(env, ledger=ledger), orphan(env, elsewhere, ledger=ledger)

        # When one of them looks for orphans, then it ends those of its own folder only
        assert [record.id for record in env.app.recovery.end_orphans()] == [own.id]
        assert [found.labels[LABEL_TASK] for found in env.engine.find({LABEL_TASK: ""})] == [other.id]
        assert elsewhere.open(other.id).load().state is TaskState.RUNNING

        # When the other session is over, then its task is ended
        ledger.unlink()
        assert [record.id for record in env.app.recovery.end_orphans()] == [other.id]
        assert env.engine.find({LABEL_TASK: ""}) == []


def test_a_container_names_the_ledger_of_its_process(tmp_path: Path) -> None:
    labels: dict[str, str] = {}

    def program(container: FakeContainer) -> int:
        labels.update(container.spec.labels)
        return 1

    with make_environment(tmp_path, program) as env:
        env.run(values={"a": 1, "b": 2})
    assert labels[LABEL_LEDGER] == str(tmp_path / "ledger" / "l.json")


def test_a_container_without_a_record_is_kept(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        env.app.store.remove(task.workspace)
        env.app.recovery.end_orphans()
        assert [found.labels[LABEL_TASK] for found in env.engine.find({LABEL_TASK: ""})] == [task.id]


def test_a_container_of_the_user_with_the_labels_of_a_task_is_kept(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        labels = {LABEL_TASK: task.id, LABEL_HOME: str(env.app.store.path)}
        handle = env.engine.create(ContainerSpec(env.image, name="mine", labels=labels))
        assert [record.id for record in env.app.recovery.end_orphans()] == [task.id]
        assert isinstance(env.engine, FakeEngine)
        assert env.engine.container(handle).spec.name == "mine"


def test_a_container_that_outlived_its_task_is_removed(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        task.transition(TaskState.FAILED)
        claim = env.app.store.acquire(task.id)
        assert claim is not None
        claim.release(ended=True)
        assert env.app.recovery.end_orphans() == []
        assert env.engine.find({LABEL_TASK: ""}) == []


def test_a_detached_task_is_left_to_the_process_that_goes_on_with_it(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        task.update(plan=RunPlan(detached=True))
        task.save()
        assert env.app.recovery.end_orphans() == []
        assert len(env.engine.find({LABEL_TASK: task.id})) == 1


def test_two_processes_that_look_at_once_end_a_task_once(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = orphan(env)
        other = env.app.store.acquire(task.id)
        assert other is not None
        assert env.app.recovery.end_orphans() == []
        other.release(ended=False)
        assert len(env.app.recovery.end_orphans()) == 1


def test_the_folder_of_a_user_who_is_not_us_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(hang)
    with make_environment(tmp_path, engine=engine) as env:
        foreign = TaskStore(tmp_path / "foreign" / ".localrun")
        orphan(env, foreign)
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
        assert env.app.recovery.end_orphans() == []
        (left,) = engine.find({LABEL_TASK: ""})
        engine.remove(left.handle)


# -- resume orphans ------------------------------------------------------------------------------


def add(container: FakeContainer) -> int:
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.stdout.write("added\n")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0


def next_process(env: Environment) -> App:
    return App(env.app.settings, env.engine)


def abandoned(env: Environment, state: str, *, retries: int = 0) -> TaskRecord:
    """Create a task that was in `state` when its process died."""
    submitted = env.app.manager.create_task(
        {"bundle": str(env.bundle), "image": env.image, "inputs": {}, "retries": retries}, "ray"
    )
    claim = env.app.manager._pending.pop(submitted.id)
    assert claim is not None
    task = ActiveTask(submitted.workspace.load(), submitted.workspace)
    for name, value in BUNDLE["inputs"].items():
        (task.workspace.inputs / name).write_text(str(value))
    order = ["PROVISIONED", "QUEUING", "QUEUED", "PENDING", "RUNNING"]
    image = env.engine.find_image(IMAGE)
    assert image is not None
    plan = task.record.plan
    assert plan is not None
    task.update(image=image.id, plan=plan.replace(values=BUNDLE["inputs"], pull="never"))
    for step in order[: order.index(state) + 1]:
        task.transition(TaskState(step))
    env.app.manager._registry.discard(task.id)
    claim.lock.release(ended=False)
    return task.record


def with_container(env: Environment, record: TaskRecord, *, start: bool = True) -> str:
    workspace = env.app.store.open(record.id)
    spec = local_spec(
        record,
        inputs=workspace.inputs,
        outputs=workspace.outputs,
        hosts=workspace.write_hosts(),
        home=env.app.store.path,
    )
    handle = env.engine.create(spec)
    if start:
        env.engine.start(handle)
    return handle


def recovered(env: Environment) -> Callable[[str], TaskRecord]:
    app = next_process(env)
    app.manager.recover()

    def end_of(task_id: str) -> TaskRecord:
        record = app.manager.wait_for(task_id, 60)
        assert record is not None
        assert record.state.is_final
        return record

    return end_of


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING"])
def test_a_task_of_another_engine_is_left_to_a_process_that_uses_it(tmp_path: Path, state: str) -> None:
    with make_environment(tmp_path, add) as env:
        # Given a task whose dead process used another engine
        left = abandoned(env, state)
        env.app.store.open(left.id).save(left.replace(engine="unix:///elsewhere.sock"))

        # Then it is neither failed nor run here
        with pytest.raises(OtherEngine, match=r"unix:///elsewhere\.sock") as caught:
            next_process(env).manager.resume(left.id)
        assert env.app.store.open(left.id).load().state == state
    assert f"DOCKER_HOST=unix:///elsewhere.sock localrun wait {left.short_id}" in caught.value.remedy


@pytest.mark.parametrize("state", ["PROVISIONED", "QUEUING", "QUEUED", "PENDING"])
def test_a_task_that_had_no_container_yet_runs_now(tmp_path: Path, state: str) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, state)
        record = recovered(env)(left.id)
        assert env.engine.find({LABEL_TASK: ""}) == []
    assert (record.state, record.outputs) == (TaskState.FINISHED, {"sum": 7})


def test_a_running_container_is_carried_to_its_real_end(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        go.wait(60)
        return add(container)

    with make_environment(tmp_path, program) as env:
        left = abandoned(env, "RUNNING")
        with_container(env, left)
        end_of = recovered(env)
        go.set()
        record = end_of(left.id)
        assert env.engine.find({LABEL_TASK: ""}) == []
    assert (record.state, record.outputs, record.exit_code) == (TaskState.FINISHED, {"sum": 7}, 0)
    assert (Path(record.folder) / "logs/task.log").read_text() == "added\n"


def test_a_container_that_ended_meanwhile_gives_its_real_exit_code(tmp_path: Path) -> None:
    with make_environment(tmp_path, lambda container: 3) as env:
        left = abandoned(env, "RUNNING")
        env.engine.wait(with_container(env, left))
        record = recovered(env)(left.id)
    assert (record.cause, record.exit_code) == ("EXIT_NONZERO", 3)


def test_a_container_that_was_made_but_never_started_is_made_anew(tmp_path: Path) -> None:
    runs: list[str] = []

    def program(container: FakeContainer) -> int:
        runs.append(container.handle)
        return add(container)

    with make_environment(tmp_path, program) as env:
        left = abandoned(env, "PENDING")
        handle = with_container(env, left, start=False)
        record = recovered(env)(left.id)
        assert env.engine.find({LABEL_TASK: ""}) == []
    assert record.state is TaskState.FINISHED
    assert len(runs) == 1
    assert handle not in runs


def test_a_container_that_was_started_before_it_was_written_down_runs_once(tmp_path: Path) -> None:
    runs: list[str] = []

    def program(container: FakeContainer) -> int:
        runs.append(container.handle)
        return add(container)

    with make_environment(tmp_path, program) as env:
        left = abandoned(env, "PENDING")
        with_container(env, left)
        record = recovered(env)(left.id)
    assert (record.state, len(runs)) == (TaskState.FINISHED, 1)


def test_an_orphan_that_cannot_be_ended_does_not_keep_others_from_being_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_environment(tmp_path, add) as env:
        record = abandoned(env, "QUEUING")
        server = next_process(env)
        error = EngineError("cannot stop a container", remedy="restart the engine")
        monkeypatch.setattr(server.recovery, "end_orphans", Mock(side_effect=error))
        with pytest.raises(EngineError, match="cannot stop"):
            server.recover()
        assert server.wait(record.id).state is TaskState.FINISHED


def test_a_task_of_localrun_run_is_ended_and_not_resumed(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        # Given a task of `localrun run` and a detached one, whose processes were killed
        task, detached = orphan(env), abandoned(env, "RUNNING")
        with_container(env, detached)
        server = next_process(env)
        # Then the manager resumes only the detached one
        assert server.manager.resume(task.id) is None
        assert env.app.store.open(task.id).load().state is TaskState.RUNNING
        # When a server starts in their folder
        assert [record.id for record in server.recover()] == [task.id, detached.id]
        # Then it has ended the task, and lists it as completed
        (ended,) = server.manager.completed_tasks
        assert [found.labels[LABEL_TASK] for found in env.engine.find({LABEL_TASK: ""})] == [detached.id]
        assert [active.id for active in server.manager.get_all_active_tasks()] == [detached.id]
        server.close()
    assert (ended.id, ended.state, ended.cause) == (task.id, TaskState.FAILED, "RUNNER_TERMINATED")


def test_a_task_whose_container_is_gone_fails_and_says_why(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, "RUNNING")
        record = recovered(env)(left.id)
    assert (record.state, record.cause) == (TaskState.FAILED, "RUNNER_TERMINATED")
    assert "its container is gone" in record.message


def test_a_task_whose_container_is_gone_runs_again_if_it_may(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, "RUNNING", retries=1)
        begun = [StepRecord(name=StepName.PERMISSIONS), StepRecord(name=StepName.TASK)]
        env.app.store.open(left.id).save(left.replace(steps=begun, container="gone"))
        record = recovered(env)(left.id)
    assert [step.name for step in record.steps] == list(StepName)
    assert record.container != "gone"
    assert (record.state, record.outputs) == (TaskState.FINISHED, {"sum": 7})
    assert record.plan is not None
    assert record.plan.retries == 0


def test_an_end_that_was_decided_is_the_end_although_the_container_is_gone(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, "RUNNING")
        workspace = env.app.store.open(left.id)
        workspace.save(left.replace(final_state=TaskState.FINISHED, outputs={"sum": 7}, exit_code=0))
        record = recovered(env)(left.id)
    assert (record.state, record.outputs, record.cause) == (TaskState.FINISHED, {"sum": 7}, None)


def test_free_form_tasks_are_listed_again(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        task = env.app.manager.create_task({"type": "test"}, "ray")
        app = next_process(env)
        app.manager.recover()
        assert [record.id for record in app.manager.active_tasks] == [task.id]
        record = app.manager.complete_task(task.id, {"ok": True})
    assert record is not None
    assert (record.state, record.result, record.assigned_by) == (TaskState.FINISHED, {"ok": True}, "ray")


def test_a_task_that_waited_for_inputs_waits_for_them_again(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        task = env.app.manager.create_task(
            {"bundle": str(env.bundle), "image": env.image, "inputs": {"a": 3}}
        )
        env.app.manager.shutdown()
        app = next_process(env)
        app.manager.recover()
        app.manager.put_input(task.id, "b", [b"4"])
        record = app.manager.wait_for(task.id, 60)
    assert record is not None
    assert record.outputs == {"sum": 7}


def test_ended_tasks_are_listed_with_their_outputs(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        records = [env.run(values={"a": n, "b": 1}) for n in range(3)]
        app = next_process(env)
        app.manager.recover()
        assert [record.outputs for record in app.manager.completed_tasks] == [
            {"sum": n + 1} for n in range(3)
        ]
        assert app.manager.get_status()["completed_tasks_count"] == 3
        assert app.manager.find_task(records[0].id) == records[0]


def test_waiting_tasks_wait_again_in_their_order(tmp_path: Path) -> None:
    order: list[str] = []

    def program(container: FakeContainer) -> int:
        order.append(container.spec.labels["localrun.task"])
        return add(container)

    with make_environment(tmp_path, program) as env:
        left = [abandoned(env, "QUEUING").id for _ in range(4)]
        for task_id in left:  # each uses all CPUs, so that they run one by one
            task = ActiveTask(env.app.store.open(task_id).load(), env.app.store.open(task_id))
            task.update(resources=task.record.resources.replace(cpus=float(env.engine.info().cpus)))
            task.save()
        end_of = recovered(env)
        assert [end_of(task_id).state for task_id in left] == [TaskState.FINISHED] * 4
    assert order == left


def test_a_task_that_another_process_carries_is_not_taken(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        go.wait(60)
        return add(container)

    with make_environment(tmp_path, program) as env:
        task = env.submit(values={"a": 3, "b": 4}, detached=True)
        app = next_process(env)
        assert app.manager.recover() == []
        assert [record.id for record in app.manager.active_tasks] == [task.id]
        go.set()
        env.app.manager.wait(task)


def test_a_task_whose_bundle_is_gone_fails_and_says_so(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, "QUEUING")
        env.bundle.unlink()
        record = recovered(env)(left.id)
    assert (record.state, record.cause) == (TaskState.FAILED, "BUNDLE_INVALID")


def test_tasks_wait_for_an_engine_that_is_away(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, "QUEUING")
        away = App(env.app.settings, None)
        away.__dict__["engine"] = DockerEngine("unix:///nowhere.sock")
        assert away.recover() == []
        assert recovered(env)(left.id).state is TaskState.FINISHED


def test_a_damaged_record_keeps_no_other_task_from_being_taken_over(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        damaged, good = abandoned(env, "QUEUING"), abandoned(env, "QUEUING")
        (env.app.store.open(damaged.id).path / "task.json").write_text("{")
        assert recovered(env)(good.id).state is TaskState.FINISHED


def test_what_the_dead_process_measured_is_a_part_of_the_whole(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        carried, gone = abandoned(env, "RUNNING"), abandoned(env, "RUNNING")
        with_container(env, carried)
        for left in (carried, gone):
            UsageFile(env.app.store.open(left.id).usage).add(SAMPLE)
        end_of = recovered(env)
        used = [end_of(left.id).usage for left in (carried, gone)]
    assert [one.memory_peak for one in used if one] == [5, 5]


def test_a_task_that_runs_again_is_measured_anew(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, "RUNNING", retries=1)
        UsageFile(env.app.store.open(left.id).usage).add(SAMPLE)
        record = recovered(env)(left.id)
        assert (record.state, record.usage) == (TaskState.FINISHED, None)
        assert not env.app.store.open(left.id).usage.exists()


class Starting(FakeEngine):
    """An engine that does not list a container as started while its start is in progress."""

    measured = False

    def find(self, labels: Mapping[str, str]) -> list[ContainerSummary]:
        return [replace(found, started=found.started and self.measured) for found in super().find(labels)]

    def size(self, handle: Handle) -> int:
        self.measured = True
        return super().size(handle)


def test_a_container_that_is_just_being_started_is_not_run_twice(
    tmp_path: Path,
) -> None:
    runs: list[int] = []

    def program(container: FakeContainer) -> int:
        runs.append(1)
        return add(container)

    with make_environment(tmp_path, engine=Starting(program)) as env:
        left = abandoned(env, "PENDING")
        with_container(env, left)
        record = recovered(env)(left.id)
    assert (record.state, record.outputs, runs) == (TaskState.FINISHED, {"sum": 7}, [1])
