"""Reused results of the rows of a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.batch.work import Project, pairs


def lines(project: Project) -> list[dict[str, Any]]:
    """Return the results in the order of the rows."""
    text = project.results.with_suffix(".jsonl").read_text()
    return sorted(map(json.loads, text.splitlines()), key=lambda line: line["row"])


def test_rows_with_a_result_create_no_tasks(tmp_path: Path) -> None:
    project = Project(tmp_path)
    first = {result.row.number: result.task for result in project.batch(pairs(1, 2))}
    project.request = project.request.replace(reuse="yes")
    project.results = tmp_path / "again.csv"
    found = list(project.batch(pairs(1, 2, 3)))
    assert {result.row.number: result.reused for result in found} == {1: True, 2: True, 3: False}
    assert {result.row.number: result.task for result in found if result.reused} == first
    assert sorted(project.started) == [1, 2, 3]
    assert [(line["reused"], line["outputs"]) for line in lines(project)] == [
        (True, {"sum": 2}),
        (True, {"sum": 3}),
        (False, {"sum": 4}),
    ]


def test_the_outputs_of_reused_rows_are_copied(tmp_path: Path) -> None:
    project = Project(tmp_path)
    list(project.batch(pairs(1)))
    project.request = project.request.replace(reuse="yes")
    project.results = tmp_path / "again.csv"
    assert [result.reused for result in project.batch(pairs(1), output=tmp_path / "out")] == [True]
    assert [path.read_text() for path in (tmp_path / "out/0001").iterdir()] == ["2"]


def test_equal_rows_are_reused_within_a_batch(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.request = project.request.replace(reuse="yes")
    found = list(project.batch(pairs(1, 1, 1), jobs=1))
    assert [result.reused for result in found] == [False, True, True]
    assert project.started == [1]


def test_a_batch_that_is_resumed_keeps_the_results_of_reused_rows(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.request = project.request.replace(reuse="yes")
    list(project.batch(pairs(1, 1)))
    assert list(project.batch(pairs(1, 1), resume=True)) == []
    assert len(lines(project)) == 2


def test_a_batch_counts_why_rows_were_not_reused(tmp_path: Path) -> None:
    project = Project(tmp_path)
    list(project.batch(pairs(1, 2)))
    project.request = project.request.replace(reuse="yes")
    project.results = tmp_path / "again.csv"
    batch = project.batch(pairs(1, 2, 3, 4))
    list(batch)
    assert list(batch.reuse.lines()) == [
        "reused the results of 2 rows",
        "not reused: 2 rows: inputs.a changed",
    ]
    assert batch.summary()["reused"] == 2
    assert batch.summary()["not_reused"] == {"inputs.a changed": 2}
