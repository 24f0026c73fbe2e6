from __future__ import annotations

import itertools

import pytest

from localrun.errors import IllegalTransition
from localrun.task.states import TRANSITIONS, TaskState, check_transition

LIFE = ["CREATED", "PROVISIONED", "QUEUING", "QUEUED", "PENDING", "RUNNING", "FINISHED"]


def test_the_table_names_every_state() -> None:
    assert set(TRANSITIONS) == set(TaskState)


def test_a_life_without_trouble_is_allowed() -> None:
    for old, new in itertools.pairwise(LIFE):
        check_transition(TaskState(old), TaskState(new))


@pytest.mark.parametrize("state", [state for state in TaskState if not state.is_final])
@pytest.mark.parametrize("end", [TaskState.FAILED, TaskState.KILLED])
def test_any_state_that_is_not_an_end_may_fail_or_be_killed(state: TaskState, end: TaskState) -> None:
    check_transition(state, end)


@pytest.mark.parametrize("end", [TaskState.FINISHED, TaskState.FAILED, TaskState.KILLED])
@pytest.mark.parametrize("state", list(TaskState))
def test_nothing_follows_an_end(end: TaskState, state: TaskState) -> None:
    assert end.is_final
    with pytest.raises(IllegalTransition, match="it is final"):
        check_transition(end, state)


@pytest.mark.parametrize("state", ["CREATED", *LIFE[1:6]])
def test_a_client_may_send_the_outputs_of_any_task(state: str) -> None:
    check_transition(TaskState(state), TaskState.FINISHED)


def test_a_state_cannot_be_skipped_and_the_message_says_what_may_follow() -> None:
    with pytest.raises(
        IllegalTransition, match="invalid transition from CREATED to RUNNING; allowed: FAILED, FINISHED, KIL"
    ):
        check_transition(TaskState.CREATED, TaskState.RUNNING)
