from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from localrun.server import views
from localrun.server.schemas import Batch, Submission
from localrun.task.states import TRANSITIONS, TaskState
from modules.task.models import TASK_STATUSES, TaskRecord, TaskRequestFromRay

NOW = 1_753_650_900.0


def record(**fields: Any) -> TaskRecord:
    given = {"id": "0f8fad5b", "bundle": "", "history": [(TaskState.CREATED, NOW)], "submitted": {}}
    return TaskRecord(**{**given, **fields})


def test_a_request_needs_a_task_and_who_assigned_it() -> None:
    request = TaskRequestFromRay(task={"type": "reflect"}, assigned_by="ray")
    assert (request.task, request.assigned_by) == ({"type": "reflect"}, "ray")


@pytest.mark.parametrize(
    "fields", [{}, {"task": {}}, {"assigned_by": "ray"}, {"task": 1, "assigned_by": "ray"}]
)
def test_a_request_that_lacks_a_field_is_a_value_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        Submission.model_validate(fields)
    assert isinstance(caught.value, ValidationError)


def test_an_empty_task_is_a_task_and_an_empty_name_a_name() -> None:
    assert Submission.model_validate({"task": {}, "assigned_by": ""}).task == {}


def test_a_number_is_not_taken_for_a_name() -> None:
    with pytest.raises(ValidationError):
        Submission.model_validate({"task": {}, "assigned_by": 5})


def test_a_batch_holds_at_most_a_thousand_tasks() -> None:
    assert len(Batch.model_validate({"task": [{}] * 1000, "assigned_by": "ray"}).task) == 1000
    with pytest.raises(ValidationError):
        Batch.model_validate({"task": [{}] * 1001, "assigned_by": "ray"})


def test_every_state_has_a_word_of_the_guide() -> None:
    assert set(TASK_STATUSES) == set(TaskState)
    assert set(TASK_STATUSES.values()) == {"received", "processing", "completed", "error", "cancelled"}


def test_only_ends_are_shown_as_over() -> None:
    over = {"completed", "error", "cancelled"}
    assert {state for state in TaskState if TASK_STATUSES[state] in over} == {
        state for state, following in TRANSITIONS.items() if not following
    }


def test_a_task_is_shown_with_the_keys_of_the_guide_and_its_time_in_utc() -> None:
    shown = views.summary(record(assigned_by="ray", submitted={"type": "test"}))
    assert (shown["task_id"], shown["task"], shown["assigned_by"]) == ("0f8fad5b", {"type": "test"}, "ray")
    moment = datetime.fromisoformat(shown["timestamp"])
    assert (moment.timestamp(), moment.utcoffset()) == (NOW, timedelta(0))


def test_an_ended_task_tells_how_long_it_took() -> None:
    history = [(TaskState.CREATED, NOW), (TaskState.FINISHED, NOW + 1.5)]
    shown = views.details(record(state=TaskState.FINISHED, history=history, result={"ok": True}))
    assert (shown["processing_time_ms"], shown["result"]) == (1500, {"ok": True})
    assert shown["completed_at"] > shown["timestamp"]


def test_a_task_of_the_command_line_is_shown_as_it_would_have_been_sent() -> None:
    shown = views.summary(record(submitted=None, bundle="add.zip", inputs={"a": 3}))
    assert shown["task"] == {"bundle": "add.zip", "inputs": {"a": 3}}


def test_a_record_is_read_back_as_it_was_written() -> None:
    made = record(assigned_by="ray", submitted={"n": [1, None, "ä"]}, result={"x": 1.5})
    assert TaskRecord.from_json(made.to_json()) == made
