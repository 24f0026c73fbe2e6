from __future__ import annotations

from itertools import product

import pytest

from localrun.task.fate import Fate, current_fate, fate
from localrun.task.process import current_process
from localrun.task.record import BatchRow, Replica, RunPlan, TaskRecord
from localrun.task.states import TaskState

STATES = list(TaskState)
REPLICA = Replica(parent_id="whole", number=1)


def expected(
    state: TaskState,
    kind: str,
    detached: bool,
    replica: bool,
    alive: bool,
    parent_alive: bool = False,
    held: bool = False,
    waits: bool = False,
) -> str:
    """Return the expected fate; written independently of the code."""
    if state in ("FINISHED", "FAILED", "KILLED"):
        return "ended"
    if kind == "manual":
        return "manual"
    if alive:
        return "owned"
    if not (detached or parent_alive) or (state == "CREATED" and not (waits or held or replica)):
        return "end"
    if held and state in ("CREATED", "PROVISIONED"):
        return "await_start"
    if state == "CREATED":
        return "recreate" if replica else "await_inputs"
    return "resume"


@pytest.mark.parametrize("kind", ["manual", "container", "replicated"])
@pytest.mark.parametrize("state", STATES)
def test_every_combination_has_its_fate(state: TaskState, kind: str) -> None:
    for detached, replica, alive, parent, held, waits in product((True, False), repeat=6):
        plan = RunPlan(detached=detached, held=held, replicas=2 if kind == "replicated" else 1)
        record = TaskRecord(
            id="a",
            bundle="b",
            state=state,
            plan=None if kind == "manual" else plan,
            replica=REPLICA if replica else None,
            submitted={} if waits else None,
        )
        assert record.kind == kind
        found = fate(record, owner_alive=alive, parent_alive=parent)
        assert found == expected(state, kind, detached, replica, alive, parent, held, waits)


def test_every_fate_is_reached() -> None:
    found = {
        expected(state, kind, *flags)
        for state, kind, flags in product(STATES, ("manual", "container"), product((True, False), repeat=6))
    }
    assert found == set(Fate)


def test_a_resumable_task_waits_for_another_process_and_a_blocked_one_for_a_request() -> None:
    assert [one for one in Fate if one.is_resumable] == ["recreate", "await_inputs", "await_start", "resume"]
    assert [one for one in Fate if one.is_blocked] == ["manual", "recreate", "await_inputs", "await_start"]


def test_a_task_that_misses_inputs_and_a_row_of_a_batch_are_not_ended() -> None:
    record = TaskRecord(id="a", bundle="b", plan=RunPlan(detached=True))
    assert fate(record, owner_alive=False) is Fate.END
    row = BatchRow(id="batch", row=1)
    for waiting in (record.replace(missing=["a"]), record.replace(batch=row)):
        assert fate(waiting, owner_alive=False) is Fate.AWAIT_INPUTS


def test_the_current_fate_depends_on_the_owner() -> None:
    record = TaskRecord(id="a", bundle="b", plan=RunPlan(), owner=current_process())
    assert current_fate(record) is Fate.OWNED
    assert record.owner is not None
    dead = record.replace(owner=record.owner.replace(started=record.owner.started - 1))
    assert current_fate(dead) is Fate.END
    assert current_fate(record.replace(owner=None)) is Fate.OWNED  # unknown: assumed to be alive
