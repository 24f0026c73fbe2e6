from __future__ import annotations

from pathlib import Path

import pytest

from localrun.report.details.timeline import thin_out, timeline, usage_samples
from localrun.task.events import Event
from localrun.task.log import TaskLog, read_times
from localrun.task.record import StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.workspace import Workspace

REST = '"read_bytes":0,"written_bytes":0,"pids":1}\n'


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path / "task")
    found.create()
    found.logs.mkdir()
    return found


def test_every_state_has_its_start_and_end(workspace: Workspace) -> None:
    history = [(TaskState.CREATED, 1.0), (TaskState.PROVISIONED, 2.0), (TaskState.FAILED, 5.0)]
    step = StepRecord(name=StepName.TASK, started=2.5, finished=4.0, exit_code=3)
    record = TaskRecord(id="task", bundle="b", state=TaskState.FAILED, history=history, steps=[step])
    found = timeline(record, workspace, 9.0)
    assert [(one["state"], one["start"], one["end"]) for one in found["states"]] == [
        ("CREATED", 1.0, 2.0),
        ("PROVISIONED", 2.0, 5.0),
        ("FAILED", 5.0, 5.0),
    ]
    assert (found["start"], found["end"], found["now"]) == (1.0, 5.0, 9.0)
    assert (found["steps"][0]["start"], found["steps"][0]["end"]) == (2.5, 4.0)


def test_the_current_state_has_no_end(workspace: Workspace) -> None:
    record = TaskRecord(id="task", bundle="b", history=[(TaskState.CREATED, 1.0)])
    assert timeline(record, workspace, 9.0)["states"] == [{"state": "CREATED", "start": 1.0, "end": None}]


def test_notes_and_warnings_are_marks_on_it(workspace: Workspace) -> None:
    for kind, data in (("note", {}), ("warning", {}), ("note", {"killing": True}), ("step", {})):
        workspace.append_event(Event(kind, "task", f"a {kind}", data, 3.0))
    record = TaskRecord(id="task", bundle="b", history=[(TaskState.CREATED, 1.0)])
    marks = timeline(record, workspace, 9.0)["marks"]
    assert [mark["kind"] for mark in marks] == ["note", "warning", "kill"]
    workspace.request_kill()
    assert timeline(record, workspace, 9.0)["marks"][-1]["message"] == "a stop was requested"


def test_the_log_has_the_time_of_its_lines(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("localrun.task.log.time.time", lambda: clock[0])
    log = TaskLog(workspace.log, 1000)
    for at, text in ((100.0, b"one\n"), (100.5, b"two\n"), (101.25, b"three\n"), (7.0, b"back\n")):
        clock[0] = at
        log.write(text)
    log.close()
    assert read_times(workspace.log) == [(0, 100.0), (8, 101.25), (14, 7.0)]
    record = TaskRecord(id="task", bundle="b", history=[(TaskState.CREATED, 1.0)])
    assert timeline(record, workspace, 9.0)["log"] == [[100.0, 0], [101.25, 8], [7.0, 14]]
    again = TaskLog(workspace.log, 1000, resume=True)
    again.write(b"more\n")
    again.close()
    assert read_times(workspace.log)[-1] == (19, 7.0)
    TaskLog(workspace.log, 1000).close()
    assert read_times(workspace.log) == []


def test_damaged_times_are_left_out(workspace: Workspace) -> None:
    workspace.log.with_suffix(".times").write_bytes(b"0 1.000\nx\n\xff\n5 2.5\n9 3.000\n7")
    assert read_times(workspace.log) == [(0, 1.0), (9, 3.0)]


def test_samples_have_the_cpus_since_the_one_before(workspace: Workspace) -> None:
    line = '{"time":%s,"cpu_seconds":%s,"memory":1,"memory_peak":null,' + REST
    workspace.usage.write_text(line % (1.0, 0.5) + line % (2.0, 2.5) + "{torn\n" + line % (4.0, 2.5))
    assert [sample["cpus"] for sample in usage_samples(workspace)] == [None, 2.0, 0.0]
    assert [sample["time"] for sample in usage_samples(workspace, 1.0)] == [2.0, 4.0]
    assert usage_samples(workspace, 1.0)[0]["cpus"] == 2.0


@pytest.mark.parametrize("count", [0, 1, 10, 11, 1000])
def test_thinning_out_keeps_both_ends(count: int) -> None:
    found = thin_out(range(count), 10)
    assert len(found) == min(count, 10)
    assert count == 0 or (found[0], found[-1]) == (0, count - 1)
