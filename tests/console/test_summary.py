"""The summary of a task: time per state, operations and data sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.console.summary import overview, summary
from localrun.runner.usage import UsageFile, UsageSample
from localrun.task.record import RunPlan, StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace

_S = TaskState


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = TaskStore(tmp_path / "home").create()
    made.create_dirs(b"")
    return made


def record_of(workspace: Workspace, *history: tuple[TaskState, float], **changes: Any) -> TaskRecord:
    given: dict[str, Any] = {
        "id": workspace.id,
        "bundle": "b.zip",
        "plan": RunPlan(),
        "state": history[-1][0],
    }
    return TaskRecord(**(given | {"history": list(history)} | changes))


def timeline(found: dict[str, Any]) -> list[tuple[str, float | None, list[str]]]:
    return [
        (stay["state"], stay["seconds"], [one["name"] for one in stay["operations"]])
        for stay in found["timeline"]
    ]


WAY = [
    *((_S.CREATED, 0.0), (_S.PROVISIONED, 1.0), (_S.QUEUING, 2.0), (_S.QUEUED, 5.0), (_S.PENDING, 5.5)),
    *((_S.RUNNING, 8.0), (_S.FINISHED, 20.0)),
]
TIMINGS = {
    "bundle": 0.1,
    "admission": 2.5,
    "image": 1.0,
    "permissions": 0.1,
    "create": 0.2,
    "start": 0.3,
    "run": 11.0,
    "outputs": 0.1,
    "remove": 0.2,
}


def test_every_operation_is_listed_in_its_state(workspace: Workspace) -> None:
    found = overview(record_of(workspace, *WAY, timings=TIMINGS), workspace, 99.0)
    assert timeline(found) == [
        ("CREATED", 1.0, ["bundle", "inputs"]),
        ("PROVISIONED", 1.0, []),
        ("QUEUING", 3.0, ["admission"]),
        ("QUEUED", 0.5, []),
        ("PENDING", 2.5, ["image", "permissions", "create", "start"]),
        ("RUNNING", 12.0, ["run", "outputs", "remove"]),
        ("FINISHED", None, []),
    ]
    assert not any(stay["ongoing"] for stay in found["timeline"])


def test_operations_are_listed_in_the_states_of_another_system(workspace: Workspace) -> None:
    steps = [
        StepRecord(name=StepName.TASK, started=7.9, finished=19.0, exit_code=0),
        StepRecord(name=StepName.OUTPUTS, started=19.0, finished=19.1, exit_code=0),
    ]
    record = record_of(workspace, *WAY, timings=TIMINGS, steps=steps)
    words = [("In Queue", 0.0), ("In Progress", 8.0), ("Finalizing", 19.0), ("Success", 20.0)]
    assert timeline(overview(record, workspace, 99.0, words)) == [
        (
            "In Queue",
            8.0,
            ["bundle", "inputs", "admission", "image", "permissions", "create", "start"],
        ),
        ("In Progress", 11.0, ["run"]),
        ("Finalizing", 1.0, ["outputs", "remove"]),
        ("Success", None, []),
    ]
    assert summary(record, workspace, words, "Success").startswith(f"Task {record.id}: Success\n")


def test_an_ongoing_state_lasts_until_now(workspace: Workspace) -> None:
    found = overview(record_of(workspace, *WAY[:-1]), workspace, 30.0)
    last = found["timeline"][-1]
    assert (last["state"], last["seconds"], last["ongoing"]) == ("RUNNING", 22.0, True)
    assert "(ongoing)" in summary(record_of(workspace, *WAY[:-1]), workspace)


def test_a_task_that_ran_twice_has_the_operations_of_the_second_run(workspace: Workspace) -> None:
    again = [(_S.QUEUING, 9.0), (_S.QUEUED, 9.1), (_S.PENDING, 9.2), (_S.RUNNING, 9.5), (_S.FINISHED, 10.0)]
    found = overview(record_of(workspace, *WAY[:-1], *again, timings=TIMINGS), workspace, 99.0)
    rows = timeline(found)
    assert [row for row in rows if row[0] == "RUNNING"] == [
        ("RUNNING", 1.0, []),
        ("RUNNING", 0.5, ["run", "outputs", "remove"]),
    ]


def test_a_run_followed_by_two_processes_is_measured_once(workspace: Workspace) -> None:
    steps = [StepRecord(name=StepName.TASK, started=7.9, finished=19.0, exit_code=0)]
    record = record_of(workspace, *WAY, timings=TIMINGS | {"run": 2.0}, steps=steps)
    (run,) = overview(record, workspace, 99.0)["timeline"][-2]["operations"][:1]
    assert (run["name"], run["seconds"]) == ("run", 11.0)


def test_operations_before_a_failure_are_kept(workspace: Workspace) -> None:
    record = record_of(workspace, *WAY[:5], (_S.FAILED, 7.0), timings={"image": 1.4, "remove": 0.0})
    rows = timeline(overview(record, workspace, 99.0))
    assert rows[-2] == ("PENDING", 1.5, ["image"])
    assert rows[-1] == ("FAILED", None, ["remove"])


def test_operations_have_details(workspace: Workspace) -> None:
    steps = [
        StepRecord(name=StepName.TASK, started=8.0, finished=19.0, exit_code=3),
        StepRecord(name=StepName.OUTPUTS, started=19.0, finished=19.1, exit_code=1, message="2 problems"),
    ]
    text = summary(
        record_of(workspace, *WAY, timings=TIMINGS, steps=steps, image_from="pulled", warnings=["look"]),
        workspace,
    )
    lines = [line.split() for line in text.splitlines()]
    assert ["-", "image", "1.0", "s", "pulled"] in lines
    assert ["-", "run", "11.0", "s", "exit", "code", "3"] in lines
    assert ["-", "outputs", "100", "ms", "2", "problems"] in lines
    assert ["warning:", "look"] in lines


def test_data_sizes_include_mounted_files(workspace: Workspace, tmp_path: Path) -> None:
    own = tmp_path / "own.png"
    own.write_bytes(b"x" * 1000)
    (workspace.inputs / "image").touch()
    (workspace.inputs / "n").write_text("12")
    (workspace.outputs / "deep").mkdir()
    (workspace.outputs / "deep" / "mask").write_bytes(b"y" * 2048)
    workspace.log.write_text("said\n")
    plan = RunPlan(mounts=[(str(own), "image"), (str(tmp_path / "gone"), "other")])
    record = record_of(workspace, *WAY, plan=plan)
    assert overview(record, workspace, 0.0)["data"] == {
        "inputs": {"files": 2, "size": 1002},
        "outputs": {"files": 1, "size": 2048},
        "log": 5,
    }
    assert summary(record, workspace).splitlines()[-3:] == [
        "  inputs:   2 files, 1002 B",
        "  outputs:  1 file, 2 KiB",
        "  log:      5 B",
    ]


def test_the_memory_peak_of_a_running_task_comes_from_its_samples(workspace: Workspace) -> None:
    sample = UsageSample(
        time=9.0, cpu_seconds=2.0, memory=2**30, memory_peak=None, read_bytes=0, written_bytes=0, pids=1
    )
    UsageFile(workspace.usage).add(sample)
    text = summary(record_of(workspace, *WAY[:-1]), workspace)
    assert "peak memory 1 GiB of 4 GiB (25 %); cpu 2.0 s; disk 0 B read, 0 B written" in text


def test_a_waiting_task_shows_the_reason(workspace: Workspace) -> None:
    text = summary(record_of(workspace, *WAY[:3], message="1 Insufficient memory"), workspace)
    assert "  waiting: 1 Insufficient memory\n" in text


def test_a_task_without_a_container_has_a_summary(workspace: Workspace) -> None:
    record = record_of(workspace, (_S.CREATED, 1.0), (_S.FINISHED, 3.0), plan=None)
    text = summary(record, workspace)
    assert "CREATED" in text
    assert "Usage:" not in text
