from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.task.record import RunPlan, StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState


def test_a_record_cannot_be_changed() -> None:
    record = TaskRecord(id="a", bundle="b")
    with pytest.raises(AttributeError, match="immutable"):
        record.state = TaskState.FAILED  # type: ignore[misc]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), json_values), st.text(), st.sampled_from(TaskState))
def test_a_record_survives_the_disk(inputs: dict[str, object], message: str, state: TaskState) -> None:
    record = TaskRecord(
        id="a", bundle="b", inputs=inputs, message=message, history=[(state, 1.5)], state=state
    )
    assert TaskRecord.from_json(record.to_json()) == record


def test_the_end_has_a_time_only_once_it_is_reached() -> None:
    life = [(TaskState.CREATED, 1.0), (TaskState.FAILED, 3.0)]
    assert TaskRecord(id="a", bundle="b", history=life[:1]).ended is None
    ended = TaskRecord(id="a", bundle="b", state=TaskState.FAILED, history=life)
    assert (ended.created, ended.ended) == (1.0, 3.0)


def test_a_step_has_a_duration_only_once_it_has_ended() -> None:
    assert StepRecord(name=StepName.TASK, started=1.0).seconds is None
    assert StepRecord(name=StepName.TASK, started=1.0, finished=1.5).seconds == 0.5


def test_records_can_be_read_for_the_first_time_by_several_threads_at_once() -> None:
    """Use multiple processes, since the crash happened only sometimes."""
    script = """
import threading
from localrun.admission import LedgerEntry
from localrun.task.frozen import decoder
from localrun.task.record import ProcessId, TaskRecord

text = TaskRecord(id="a", bundle="b", owner=ProcessId(host="h", pid=1, started=1.0)).to_json()
begin = threading.Barrier(8)

def read(number):
    begin.wait()
    TaskRecord.from_json(text) if number % 2 else decoder(dict[str, LedgerEntry]).decode(b"{}")

threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    ended = [subprocess.run([sys.executable, "-c", script], check=False).returncode for _ in range(4)]
    assert ended == [0] * 4


def test_the_duration_of_an_ended_task_is_that_of_its_container() -> None:
    # Given a container that ran for 2 s, whose end was noticed much later
    step = StepRecord(name=StepName.TASK, started=101.0, finished=103.0)
    ended = TaskRecord(
        id="a",
        bundle="",
        state=TaskState.FINISHED,
        history=[(TaskState.CREATED, 100.0), (TaskState.FINISHED, 900.0)],
        steps=[step],
    )

    # Then only the 2 s are its duration
    assert (ended.duration, ended.seconds_until(1000.0)) == (2.0, 2.0)

    # And without a container, or before the end, it is the time since the creation
    running = ended.replace(state=TaskState.RUNNING, history=ended.history[:1])
    assert (running.duration, running.seconds_until(1000.0)) == (None, 900.0)
    assert ended.replace(steps=[]).seconds_until(1000.0) == 800.0


@pytest.mark.parametrize(
    ("state", "missing", "held", "expected"),
    [
        (TaskState.CREATED, ["a", "b"], False, "inputs: a, b"),
        (TaskState.CREATED, ["a"], True, "inputs: a"),
        (TaskState.CREATED, [], True, "a request to start it"),
        (TaskState.PROVISIONED, [], True, "a request to start it"),
        (TaskState.PROVISIONED, [], False, ""),
        (TaskState.KILLED, ["a"], True, ""),
        (TaskState.KILLED, [], True, ""),
    ],
)
def test_a_record_says_what_its_task_waits_for(
    state: TaskState, missing: list[str], held: bool, expected: str
) -> None:
    record = TaskRecord(id="a", bundle="b", state=state, missing=missing, plan=RunPlan(held=held))
    assert record.waiting_for == expected
