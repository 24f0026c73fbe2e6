"""Batches: validate, run, stop and resume."""

from __future__ import annotations

import csv

from localrun.task.states import TaskState
from tests.batch.work import Project


def pairs(count: int) -> list[dict[str, int]]:
    return [{"a": number, "b": 1} for number in range(1, count + 1)]


def test_each_row_runs_once_and_its_result_is_in_the_table(project: Project) -> None:
    results = list(project.batch(pairs(5)))
    assert sorted(result.outputs["sum"] for result in results) == [2, 3, 4, 5, 6]
    assert {result.state for result in results} == {TaskState.FINISHED}
    with (project.folder / "results.csv").open(newline="") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: row["row"])
    assert [(row["row"], row["id"], row["a"], row["state"], row["sum"]) for row in rows] == [
        (str(n), f"000{n}", str(n), "FINISHED", str(n + 1)) for n in range(1, 6)
    ]


def test_a_resumed_batch_runs_only_added_rows(project: Project) -> None:
    list(project.batch(pairs(3)))
    project.started.clear()
    rows = [{"a": 9, "b": 9}, *pairs(3)]
    results = list(project.batch(rows, resume=True))
    assert [result.row.number for result in results] == [1]
    assert project.started == ["9"]
