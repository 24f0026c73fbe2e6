"""Which tasks to list."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localrun.errors import UsageError
from localrun.task.record import TaskRecord
from localrun.task.selection import ALL_TASKS, TaskSelection, parse_since, parse_state, parse_states
from localrun.task.states import TaskState

RECORD = TaskRecord(
    id="1", bundle="b", name="Add integers", state=TaskState.FAILED, history=[(TaskState.CREATED, 1000.0)]
)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, True),
        ({"states": (TaskState.FAILED,)}, True),
        ({"states": (TaskState.FINISHED, TaskState.KILLED)}, False),
        ({"name": "add integers"}, True),
        ({"name": "ADD*"}, True),
        ({"name": "add"}, False),
        ({"since": 1000.0}, True),
        ({"since": 1000.5}, False),
        ({"metadata": {"a": 1}}, False),
        ({"metadata_texts": ("a",)}, False),
        ({"states": (TaskState.FAILED,), "name": "add*", "since": 2000.0}, False),
    ],
)
def test_a_task_is_selected_if_all_conditions_hold(conditions: dict[str, Any], expected: bool) -> None:
    assert TaskSelection(**conditions).matches(RECORD) is expected


def test_every_task_is_selected_without_conditions() -> None:
    assert ALL_TASKS.matches(RECORD)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (12.5, 12.5),
        (12, 12.0),
        (datetime.fromtimestamp(1000, UTC), 1000.0),
        ("1970-01-01T00:16:40Z", 1000.0),
        ("1970-01-01T01:16:40+01:00", 1000.0),
        ("1970-01-02", datetime(1970, 1, 2).timestamp()),
    ],
)
def test_a_time_is_absolute(since: Any, expected: float) -> None:
    assert parse_since(since) == expected


@pytest.mark.parametrize("since", ["2h", timedelta(hours=2)])
def test_a_time_is_before_now(since: Any) -> None:
    assert 7000 < time.time() - parse_since(since) < 7200 + 3600


@pytest.mark.parametrize("since", ["yesterday", "", True, None, [], "2026-13-01"])
def test_what_is_no_time_is_refused(since: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a time; expected e\.g\. 2h, or 2026-11-30T12:00"):
        parse_since(since)


def test_states_are_one_or_multiple_in_any_case() -> None:
    assert parse_states(None) == ()
    assert parse_states("failed") == (TaskState.FAILED,)
    assert parse_states(TaskState.KILLED) == (TaskState.KILLED,)
    assert parse_states(["failed", "KILLED"]) == (TaskState.FAILED, TaskState.KILLED)


@pytest.mark.parametrize(
    ("word", "hint"), [("FAILD", "did you mean 'FAILED'?"), (3, "expected one of: CREATED,")]
)
def test_an_unknown_state_is_refused_with_the_known_ones(word: Any, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_state(word)
    assert hint in caught.value.remedy
