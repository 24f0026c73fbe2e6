"""The table of results."""

from __future__ import annotations

import csv
import errno
import io
from pathlib import Path
from typing import Any

import pytest

from localrun.batch.backend import RowResult
from localrun.batch.results import FIXED, ResultLine, ResultTable, line_of, read_lines
from localrun.batch.rows import Row
from localrun.errors import Cause, LocalrunError
from localrun.task.states import TaskState
from localrun.values import FileValue


def line(row: int = 1, **fields: Any) -> ResultLine:
    return ResultLine(**{"row": row, "id": f"{row:04d}", "state": TaskState.FINISHED, **fields})


def rows(table: ResultTable) -> list[dict[str, str]]:
    return list(
        csv.DictReader(io.StringIO(table.csv.read_bytes().decode("utf-8", "surrogateescape"), newline=""))
    )


def test_inputs_stand_before_the_state_and_outputs_after_it(tmp_path: Path) -> None:
    table = ResultTable(tmp_path / "r.jsonl", ["a", "b"], ["sum"])
    assert table.columns == [
        *("row", "id", "a", "b", "state", "cause", "duration", "peak_memory", "sum"),
        *("message", "task", "node", "reused"),
    ]


def test_a_name_that_is_used_twice_says_what_it_is(tmp_path: Path) -> None:
    columns = ResultTable(tmp_path / "r.jsonl", ["image", "state", "a"], ["image", "task", "b"]).columns
    assert len(set(columns)) == len(columns)
    assert {"inputs.image", "outputs.image", "inputs.state", "outputs.task", "a", "b", *FIXED} == set(columns)


def test_values_survive_in_both_formats(tmp_path: Path) -> None:
    table = ResultTable(tmp_path / "r.jsonl", ["text", "xs"], ["ok", "found"])
    name = "caf\udce9.png"  # a file name that is not UTF-8
    given = line(inputs={"text": 'a,"b"\nc', "xs": [1, 2]}, outputs={"ok": True, "found": name})
    table.replace(())
    table.add(given)
    assert list(read_lines(table.path)) == [given]
    (row,) = rows(table)
    assert (row["text"], row["xs"], row["ok"], row["found"]) == ('a,"b"\nc', "[1, 2]", "true", name)
    assert row["duration"] == ""


def test_inputs_are_shown_as_paths_and_plain_values() -> None:
    row = Row(3, {"f": FileValue(Path("x/a.png")), "p": Path("/b"), "xs": [FileValue(Path("c"))], "n": 1.5})
    found = line_of(RowResult(row, TaskState.FAILED, cause="TIMEOUT", duration=1.23456), "0003")
    assert found.inputs == {"f": "x/a.png", "p": "/b", "xs": ["c"], "n": 1.5}
    assert (found.row, found.id, found.cause, found.duration) == (3, "0003", "TIMEOUT", 1.235)


def test_a_line_that_is_cut_off_is_not_read_and_one_that_is_damaged_is_reported(tmp_path: Path) -> None:
    table = ResultTable(tmp_path / "r.jsonl", [], [])
    table.replace([line(1), line(2), line(3)])
    first, second, third = table.path.read_bytes().splitlines(keepends=True)
    table.path.write_bytes(first + b"{broken\n" + second + third[:20])
    notes: list[str] = []
    assert [found.row for found in read_lines(table.path, notes.append)] == [1, 2]
    assert notes == [f"{table.path}:2: the line is damaged and was removed"]


def test_both_files_are_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    table = ResultTable(tmp_path / "r.jsonl", [], [])
    table.replace([line(1)])
    before = table.path.read_bytes(), table.csv.read_bytes()

    def fail() -> Any:
        yield line(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        table.replace(fail())
    assert (table.path.read_bytes(), table.csv.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.jsonl"]


def test_a_full_disk_is_an_error_of_localrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ResultTable(tmp_path / "r.jsonl", [], [])
    table.replace(())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("localrun.fs.write_all", full)
    with pytest.raises(LocalrunError) as caught:
        table.add(line())
    assert caught.value.cause is Cause.DISK_FULL


def test_a_folder_that_cannot_be_written_is_reported_with_the_option_that_chose_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalrunError, match=r"cannot write to the folder .*file") as caught:
        ResultTable(tmp_path / "file" / "r.jsonl", [], []).replace(())
    assert caught.value.remedy == "choose another one with --output or --results"
