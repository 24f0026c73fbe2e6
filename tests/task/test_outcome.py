from __future__ import annotations

import pytest

from localrun.errors import Cause, EngineError, LocalrunError, Problem, TaskKilled
from localrun.task.causes import explain
from localrun.task.outcome import Outcome
from localrun.task.states import TaskState


def test_an_error_is_an_end_with_all_that_it_says() -> None:
    problem = Problem("outputs.sum", "is missing")
    ending = Outcome.from_error(
        EngineError("it refused", remedy="look", cause=Cause.DISK_FULL, problems=[problem])
    )
    assert ending.state is TaskState.FAILED
    assert ending.changes == {
        "cause": "DISK_FULL",
        "message": "it refused",
        "remedy": "look",
        "problems": [problem.as_dict()],
    }


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.KILLED], ids=str)
def test_no_end_is_without_something_to_do(cause: Cause) -> None:
    ending = Outcome.from_error(LocalrunError("it went wrong", cause=cause))
    assert ending.changes["remedy"] == explain(cause).remedy


def test_whoever_stopped_a_task_is_told_nothing_to_do() -> None:
    ending = Outcome.from_error(TaskKilled("the task was stopped on request"))
    assert (ending.state, ending.changes["remedy"]) == (TaskState.KILLED, "")


def test_what_an_end_says_itself_comes_before_what_is_added() -> None:
    ending = Outcome(TaskState.FINISHED, {"message": "finished"}).with_changes(
        {"message": "x", "exit_code": 0}
    )
    assert ending.changes == {"message": "finished", "exit_code": 0}
