"""Test the code that runs the task without Docker: tasks are scripted and take milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import discs
import pytest

import localrun as package

if TYPE_CHECKING:
    from localrun.pytest_plugin import Bench, ScriptedEngine

BUNDLE = Path(__file__).parent.parent / "task"
POINT = {"type": "Point", "coordinates": [1, 1]}
DISC = {"area": 0.25, "outline": POINT, "profile": b"row,width\n"}


@pytest.fixture
def plan(fake_engine: ScriptedEngine) -> ScriptedEngine:
    """An engine whose tasks draw a disc, unless another plan is added."""
    fake_engine.plan(outputs={**DISC, "mask": Path(__file__).parent / "cases/small/expected/mask.png"})
    return fake_engine


def test_discs_come_in_the_order_of_their_radii(plan: ScriptedEngine, localrun: Bench) -> None:
    found = discs.draw(BUNDLE, [3, 1, 2], home=localrun.folder)
    assert [disc.radius for disc in found] == [3, 1, 2]
    assert sorted(run.read("radius") for run in plan.runs) == ["1", "2", "3"]


def test_a_survey_has_a_table_with_the_area_of_each_disc(plan: ScriptedEngine, localrun: Bench) -> None:
    found = discs.survey(BUNDLE, [1, 2], home=localrun.folder, results=localrun.folder / "survey.csv")
    assert sorted((line.inputs["radius"], line.outputs["area"]) for line in found) == [(1, 0.25), (2, 0.25)]
    assert found.table.read_text().count("FINISHED") == len(plan.runs) == 2


def test_a_series_ends_with_the_disc_that_does_not_fit(plan: ScriptedEngine, localrun: Bench) -> None:
    plan.plan(exit_code=1, stderr="does not fit")
    found = list(discs.growing(BUNDLE, home=localrun.folder))
    assert [disc.radius for disc in found] == [1.0]


def test_a_task_that_was_killed_for_its_memory_is_tried_again(
    fake_engine: ScriptedEngine, localrun: Bench
) -> None:
    fake_engine.plan(exit_code=137, oom_killed=True)
    fake_engine.plan(exit_code=137, oom_killed=True)
    with pytest.raises(package.TaskFailed) as raised:
        next(discs.growing(BUNDLE, home=localrun.folder))
    assert (str(raised.value.cause), len(fake_engine.runs)) == ("OUT_OF_MEMORY", 2)
