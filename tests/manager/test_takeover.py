"""What the next process makes of what the last one left. Its death is played by giving up its claims."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from localrun.app import App
from localrun.engines.base import ContainerSummary, Handle
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.runner.container_spec import LABEL_TASK, local_spec
from localrun.runner.usage import UsageFile, UsageSample
from localrun.task.active import ActiveTask
from localrun.task.record import StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState
from tests.support.environment import IMAGE, Desk, make_desk

SAMPLE = UsageSample(time=1.0, cpu_seconds=1, memory=5, memory_peak=6, read_bytes=0, written_bytes=0, pids=1)
BUNDLE = {"inputs": {"a": 3, "b": 4}}


def add(container: FakeContainer) -> int:
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.stdout.write("added\n")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0


def next_process(desk: Desk) -> App:
    return App(desk.app.settings, desk.engine)


def abandoned(desk: Desk, state: str, *, retries: int = 0) -> TaskRecord:
    """A task that a process had brought as far as `state` when it died."""
    submitted = desk.app.manager.create_task(
        {"bundle": str(desk.bundle), "image": desk.image, "inputs": {}, "retries": retries}, "ray"
    )
    claim = desk.app.manager._waiting.pop(submitted.id)
    assert claim is not None
    task = ActiveTask(submitted.workspace.load(), submitted.workspace)
    for name, value in BUNDLE["inputs"].items():
        (task.workspace.inputs / name).write_text(str(value))
    order = ["PROVISIONED", "QUEUING", "QUEUED", "PENDING", "RUNNING"]
    image = desk.engine.find_image(IMAGE)
    assert image is not None
    plan = task.record.plan
    assert plan is not None
    task.update(image=image.id, plan=plan.replace(values=BUNDLE["inputs"], pull="never"))
    for step in order[: order.index(state) + 1]:
        task.transition(TaskState(step))
    desk.app.manager._list.discard(task.id)
    claim.lock.release(ended=False)
    return task.record


def with_container(desk: Desk, record: TaskRecord, *, start: bool = True) -> str:
    workspace = desk.app.store.open(record.id)
    spec = local_spec(
        record,
        inputs=workspace.inputs,
        outputs=workspace.outputs,
        hosts=workspace.write_hosts(),
        home=desk.app.store.path,
    )
    handle = desk.engine.create(spec)
    if start:
        desk.engine.start(handle)
    return handle


def recovered(desk: Desk) -> Callable[[str], TaskRecord]:
    app = next_process(desk)
    app.manager.recover()

    def end_of(task_id: str) -> TaskRecord:
        record = app.manager.wait_for(task_id, 10)
        assert record is not None
        assert record.state.is_final
        return record

    return end_of


@pytest.mark.parametrize("state", ["PROVISIONED", "QUEUING", "QUEUED", "PENDING"])
def test_a_task_that_had_no_container_yet_runs_now(tmp_path: Path, state: str) -> None:
    with make_desk(tmp_path, add) as desk:
        left = abandoned(desk, state)
        record = recovered(desk)(left.id)
        assert desk.engine.find({LABEL_TASK: ""}) == []
    assert (record.state, record.outputs) == (TaskState.FINISHED, {"sum": 7})


def test_a_running_container_is_carried_to_its_real_end(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        go.wait(10)
        return add(container)

    with make_desk(tmp_path, program) as desk:
        left = abandoned(desk, "RUNNING")
        with_container(desk, left)
        end_of = recovered(desk)
        go.set()
        record = end_of(left.id)
        assert desk.engine.find({LABEL_TASK: ""}) == []
    assert (record.state, record.outputs, record.exit_code) == (TaskState.FINISHED, {"sum": 7}, 0)
    assert (Path(record.folder) / "logs/task.log").read_text() == "added\n"


def test_a_container_that_ended_meanwhile_gives_its_real_exit_code(tmp_path: Path) -> None:
    with make_desk(tmp_path, lambda container: 3) as desk:
        left = abandoned(desk, "RUNNING")
        desk.engine.wait(with_container(desk, left))
        record = recovered(desk)(left.id)
    assert (record.cause, record.exit_code) == ("EXIT_NONZERO", 3)


def test_a_container_that_was_made_but_never_started_is_made_anew(tmp_path: Path) -> None:
    runs: list[str] = []

    def program(container: FakeContainer) -> int:
        runs.append(container.handle)
        return add(container)

    with make_desk(tmp_path, program) as desk:
        left = abandoned(desk, "PENDING")
        handle = with_container(desk, left, start=False)
        record = recovered(desk)(left.id)
        assert desk.engine.find({LABEL_TASK: ""}) == []
    assert record.state is TaskState.FINISHED
    assert len(runs) == 1
    assert handle not in runs


def test_a_container_that_was_started_before_it_was_written_down_runs_once(tmp_path: Path) -> None:
    runs: list[str] = []

    def program(container: FakeContainer) -> int:
        runs.append(container.handle)
        return add(container)

    with make_desk(tmp_path, program) as desk:
        left = abandoned(desk, "PENDING")
        with_container(desk, left)
        record = recovered(desk)(left.id)
    assert (record.state, len(runs)) == (TaskState.FINISHED, 1)


def test_a_task_whose_container_is_gone_fails_and_says_why(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        left = abandoned(desk, "RUNNING")
        record = recovered(desk)(left.id)
    assert (record.state, record.cause) == (TaskState.FAILED, "RUNNER_TERMINATED")
    assert "its container is gone" in record.message


def test_a_task_whose_container_is_gone_runs_again_if_it_may(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        left = abandoned(desk, "RUNNING", retries=1)
        begun = [StepRecord(name=StepName.PERMISSIONS), StepRecord(name=StepName.TASK)]
        desk.app.store.open(left.id).save(left.replace(steps=begun, container="gone"))
        record = recovered(desk)(left.id)
    assert [step.name for step in record.steps] == list(StepName)
    assert record.container != "gone"
    assert (record.state, record.outputs) == (TaskState.FINISHED, {"sum": 7})
    assert record.plan is not None
    assert record.plan.retries == 0


def test_an_end_that_was_decided_is_the_end_although_the_container_is_gone(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        left = abandoned(desk, "RUNNING")
        workspace = desk.app.store.open(left.id)
        workspace.save(left.replace(ending=TaskState.FINISHED, outputs={"sum": 7}, exit_code=0))
        record = recovered(desk)(left.id)
    assert (record.state, record.outputs, record.cause) == (TaskState.FINISHED, {"sum": 7}, None)


def test_free_form_tasks_are_listed_again(tmp_path: Path) -> None:
    with make_desk(tmp_path) as desk:
        task = desk.app.manager.create_task({"type": "test"}, "ray")
        app = next_process(desk)
        app.manager.recover()
        assert [record.id for record in app.manager.active_tasks] == [task.id]
        record = app.manager.complete_task(task.id, {"ok": True})
    assert record is not None
    assert (record.state, record.result, record.assigned_by) == (TaskState.FINISHED, {"ok": True}, "ray")


def test_a_task_that_waited_for_inputs_waits_for_them_again(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        task = desk.app.manager.create_task(
            {"bundle": str(desk.bundle), "image": desk.image, "inputs": {"a": 3}}
        )
        desk.app.manager.shutdown()
        app = next_process(desk)
        app.manager.recover()
        app.manager.put_input(task.id, "b", [b"4"])
        record = app.manager.wait_for(task.id, 10)
    assert record is not None
    assert record.outputs == {"sum": 7}


def test_ended_tasks_are_listed_with_their_outputs(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        records = [desk.run(values={"a": n, "b": 1}) for n in range(3)]
        app = next_process(desk)
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

    with make_desk(tmp_path, program) as desk:
        left = [abandoned(desk, "QUEUING").id for _ in range(4)]
        for task_id in left:  # all of the cpus each, so that they run one by one
            task = ActiveTask(desk.app.store.open(task_id).load(), desk.app.store.open(task_id))
            task.update(resources=task.record.resources.replace(cpus=float(desk.engine.info().cpus)))
            task.save()
        end_of = recovered(desk)
        assert [end_of(task_id).state for task_id in left] == [TaskState.FINISHED] * 4
    assert order == left


def test_a_task_that_another_process_carries_is_not_taken(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        go.wait(10)
        return add(container)

    with make_desk(tmp_path, program) as desk:
        task = desk.submit(values={"a": 3, "b": 4}, detached=True)
        app = next_process(desk)
        assert app.manager.recover() == []
        assert [record.id for record in app.manager.active_tasks] == [task.id]
        go.set()
        desk.app.manager.wait(task)


def test_a_task_whose_bundle_is_gone_fails_and_says_so(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        left = abandoned(desk, "QUEUING")
        desk.bundle.unlink()
        record = recovered(desk)(left.id)
    assert (record.state, record.cause) == (TaskState.FAILED, "BUNDLE_INVALID")


def test_tasks_wait_for_an_engine_that_is_away(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        left = abandoned(desk, "QUEUING")
        away = App(desk.app.settings, None)
        away.__dict__["engine"] = DockerEngine("unix:///nowhere.sock")
        assert away.recover() == []
        assert recovered(desk)(left.id).state is TaskState.FINISHED


def test_a_damaged_record_keeps_no_other_task_from_being_taken_over(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        damaged, good = abandoned(desk, "QUEUING"), abandoned(desk, "QUEUING")
        (desk.app.store.open(damaged.id).path / "task.json").write_text("{")
        assert recovered(desk)(good.id).state is TaskState.FINISHED


def test_what_the_dead_process_measured_is_a_part_of_the_whole(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        carried, gone = abandoned(desk, "RUNNING"), abandoned(desk, "RUNNING")
        with_container(desk, carried)
        for left in (carried, gone):
            UsageFile(desk.app.store.open(left.id).usage).add(SAMPLE)
        end_of = recovered(desk)
        used = [end_of(left.id).usage for left in (carried, gone)]
    assert [one.memory_peak for one in used if one] == [5, 5]


def test_a_task_that_runs_again_is_measured_anew(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        left = abandoned(desk, "RUNNING", retries=1)
        UsageFile(desk.app.store.open(left.id).usage).add(SAMPLE)
        record = recovered(desk)(left.id)
        assert (record.state, record.usage) == (TaskState.FINISHED, None)
        assert not desk.app.store.open(left.id).usage.exists()


class Starting(FakeEngine):
    """An engine whose list does not know of a start, as long as it is in progress."""

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

    with make_desk(tmp_path, engine=Starting(program)) as desk:
        left = abandoned(desk, "PENDING")
        with_container(desk, left)
        record = recovered(desk)(left.id)
    assert (record.state, record.outputs, runs) == (TaskState.FINISHED, {"sum": 7}, [1])
