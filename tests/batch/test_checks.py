"""Checks of all rows before the first one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.batch.checks import check_columns, check_rows
from localrun.batch.rows import ListedRows, Row
from localrun.batch.table import TableRows
from localrun.descriptor import Descriptor
from localrun.errors import LocalrunError, UsageError
from localrun.manager.request import Request
from localrun.values.references import TaskOutput
from tests.batch.test_table import DESCRIBED, task_inputs


class _Rows:
    """Rows with ids."""

    file = ""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def rows(self, descriptor: Descriptor) -> Iterator[Row]:
        yield from self._rows

    def describe(self) -> dict[str, Any]:
        return {}


def test_problems_name_the_row_and_the_column_and_are_folded(tmp_path: Path) -> None:
    lines = [f"{'x' if number % 2 else number},t{number}" for number in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["a,text", *lines]))
    found = check_rows(TableRows(tmp_path / "t.csv"), Request(tmp_path), DESCRIBED, task_inputs(tmp_path))
    assert (found.total, sorted(found.invalid)) == (20, list(range(2, 21, 2)))
    folded = [str(problem) for problem in LocalrunError("x", problems=found.problems).problems]
    assert len(folded) == 6
    assert folded[0].endswith("t.csv:3 row 2, column a: invalid integer 'x'; expected e.g. 42")
    assert folded[5] == "and 5 more like this"


def test_all_problems_of_a_row_are_found_at_once(tmp_path: Path) -> None:
    rows = ListedRows([{"a": "x", "file": tmp_path / "none", "other": 1, "unset": None}])
    found = check_rows(rows, Request(tmp_path), DESCRIBED, task_inputs(tmp_path))
    places = sorted(problem.path for problem in found.problems)
    assert places == [f"row 1, column {name}" for name in ("a", "file", "other", "unset")]


def test_a_value_that_cannot_be_read_is_not_reported_as_missing_too(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\nx\n")
    (problem,) = check_rows(
        TableRows(tmp_path / "t.csv"), Request(tmp_path), DESCRIBED, task_inputs(tmp_path)
    ).problems
    assert "invalid integer" in problem.message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../x", "contains a slash"),
        ("/etc", "contains a slash"),
        ("a\\b", "contains a slash"),
        (".", "starts with a dot"),
        ("..", "starts with a dot"),
        (".hidden", "starts with a dot"),
        ("-rf", "starts with a dot or a dash"),
        (" x", "has spaces around it"),
        ("x ", "has spaces around it"),
        ("a\nb", "contains a control character"),
        ("a\x7fb", "contains a control character"),
        ("é" * 101, "is longer than 200 bytes"),
        ("results.csv", "is the name of the table of results"),
    ],
)
def test_an_id_that_is_not_safe_as_a_folder_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    found = check_rows(
        _Rows([Row(1, {"a": 1}, id=name)]), Request(tmp_path), DESCRIBED, task_inputs(tmp_path)
    )
    (problem,) = found.problems
    assert problem.path == "row 1, column id"
    assert reason in problem.message
    assert problem.remedy


@pytest.mark.parametrize("name", ["a", "Größe 1", "a.b", "slide_01-x", "é" * 100])
def test_an_ordinary_id_is_accepted(tmp_path: Path, name: str) -> None:
    assert not check_rows(
        _Rows([Row(1, {"a": 1}, id=name)]), Request(tmp_path), DESCRIBED, task_inputs(tmp_path)
    ).problems


def test_an_id_of_two_rows_is_refused_also_if_one_is_the_number_of_another_row(tmp_path: Path) -> None:
    rows = [Row(1, {"a": 1}, id="x"), Row(2, {"a": 1}, id="x")]
    (problem,) = check_rows(_Rows(rows), Request(tmp_path), DESCRIBED, task_inputs(tmp_path)).problems
    assert str(problem) == "row 2, column id: duplicate id 'x'; row 1 has it, too"
    rows = [Row(1, {"a": 1}, id="0002"), Row(2, {"a": 1})]
    (problem,) = check_rows(_Rows(rows), Request(tmp_path), DESCRIBED, task_inputs(tmp_path)).problems
    assert "'0002' is the number of another row" in problem.message


@pytest.mark.parametrize("shared", [{"assignments": ("a=x",)}, {"values": {"a": "x"}}])
def test_an_invalid_input_of_all_rows_is_one_problem(tmp_path: Path, shared: dict[str, Any]) -> None:
    rows = ListedRows([{"text": "1"}, {"file": tmp_path / "none"}, {"text": "2"}])
    found = check_rows(rows, Request(tmp_path, **shared), DESCRIBED, task_inputs(tmp_path))
    assert sorted(found.invalid) == [1, 2, 3]
    assert [problem.path for problem in found.problems] == ["inputs.a", "row 2, column file"]


def test_an_input_of_the_rows_and_of_all_rows_is_refused(tmp_path: Path) -> None:
    request = Request(tmp_path, assignments=("a=1", "text=x"))
    with pytest.raises(UsageError, match="text is set by -i and by the rows"):
        check_columns({"text": None}, request)
    check_columns({"file": None}, request)


def test_an_output_of_the_newest_task_is_refused_because_that_would_be_one_of_the_batch(
    tmp_path: Path,
) -> None:
    rows = ListedRows([{"a": TaskOutput("last", "sum")}, {"xs": [1, TaskOutput("last", "sum")]}])
    found = check_rows(rows, Request(tmp_path), DESCRIBED, task_inputs(tmp_path))
    assert list(found.invalid) == [1, 2]
    assert "column a: 'last' would be a task of the batch itself; use the id of a task" in found.invalid[1]
    for shared in ({"assignments": ("a=@task:last/sum",)}, {"values": {"a": TaskOutput("last", "sum")}}):
        with pytest.raises(UsageError, match="a: 'last' would be a task of the batch itself"):
            check_columns({}, Request(tmp_path, **shared))
