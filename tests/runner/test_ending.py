"""The times of a container that has ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.engines.base import Exit
from localrun.errors import Problem
from localrun.runner.diagnosis import Diagnosis
from localrun.runner.ending import limit_times, outcome_of
from localrun.values import CollectedOutputs


@pytest.mark.parametrize("offset", [0.0, 0.4, -0.4, 3600.0, -3600.0])
def test_the_times_of_a_program_are_those_of_the_engine_as_times_of_this_machine(offset: float) -> None:
    seen = Exit(0, started=100.5 + offset, finished=103.5 + offset)
    found = limit_times(seen, offset, requested=100.0, running=101.0, now=104.0)
    assert found["finished"] - found["started"] == pytest.approx(3.0)
    assert found["started"] == pytest.approx(100.5, abs=0.51)


@given(
    begun=st.floats(0, 0.5),
    seconds=st.floats(0, 5),
    noted=st.floats(0, 0.5),
    noticed=st.floats(0, 0.5),
    offset=st.floats(-5000, 5000),
    error=st.floats(-2, 2),
)
def test_a_program_starts_after_its_request_and_ends_after_its_start_and_before_its_end_was_noticed(
    begun: float, seconds: float, noted: float, noticed: float, offset: float, error: float
) -> None:
    requested = 1.8e9
    running = requested + begun + noted
    now = max(running, requested + begun + seconds) + noticed
    seen = Exit(0, started=requested + begun + offset, finished=requested + begun + seconds + offset)
    found = limit_times(seen, offset + error, requested=requested, running=running, now=now)
    tolerance = 1e-5
    assert requested - tolerance <= found["started"] <= running + tolerance
    assert running <= found["finished"] <= now + tolerance


def test_a_container_without_times_changes_none() -> None:
    assert limit_times(Exit(137), 0.0, requested=1.0, running=2.0, now=3.0) == {}


def test_invalid_items_are_counted_as_problems_of_one_output_and_listed_five_times() -> None:
    problems = tuple(Problem(f"outputs.xs.{at}", f"invalid integer '{at}.5'") for at in range(3000))
    ended = outcome_of(Exit(0), Diagnosis(None), CollectedOutputs({}, problems))
    assert ended.changes["message"] == "invalid outputs (3000 problems in 1 output)"
    assert [one["message"] for one in ended.changes["problems"]][4:] == [
        "invalid integer '4.5'",
        "and 2,995 more like this",
    ]
