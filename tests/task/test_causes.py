from __future__ import annotations

import pytest

from localrun.errors import Cause, Fault
from localrun.task.causes import EXPLANATIONS, explain


def test_every_cause_is_explained_and_nothing_else_is() -> None:
    assert set(EXPLANATIONS) == set(Cause)


@pytest.mark.parametrize("cause", list(Cause), ids=str)
def test_an_explanation_says_what_happened_why_and_what_to_do(cause: Cause) -> None:
    explanation = explain(cause)
    for sentence in (explanation.what, explanation.why, explanation.remedy):
        assert sentence.endswith(".")
        assert len(sentence.split()) >= 3


def test_a_cause_knows_whose_fault_it_is_and_is_found_by_its_word() -> None:
    assert Cause["TIMEOUT"] is Cause.TIMEOUT
    assert Cause.TIMEOUT.fault is Fault.TASK
    assert Cause.DESCRIPTOR_INVALID.fault is Fault.USER
    assert Cause.ENGINE_LOST.fault is Fault.HOST
    assert str(Cause.KILLED) == "KILLED"


@pytest.mark.parametrize("cause", [cause for cause in Cause if " ID`" in EXPLANATIONS[cause].remedy])
def test_a_remedy_for_one_task_is_a_command_that_can_be_typed(cause: Cause) -> None:
    remedy = EXPLANATIONS[cause].remedy_for("0123456789")
    assert " 01234567`" in remedy
    assert "ID" not in remedy
