"""Tables of rows: CSV and JSON Lines."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path

import pytest

from localrun import descriptor as descriptors
from localrun.batch.checks import check_rows
from localrun.batch.rows import Row
from localrun.batch.table import TableRows
from localrun.errors import InputsError
from localrun.manager.provisioning import TaskInputs
from localrun.manager.request import Request
from localrun.settings import Settings
from localrun.task.store import TaskStore
from localrun.values import FileValue
from tests.support.environment import DESCRIPTOR

INPUTS = """\
inputs:
  a: {type: integer, description: d, display_name: A, default: 1}
  text: {type: string, description: d, display_name: T, optional: true}
  file: {type: file, description: d, display_name: F, optional: true}
  xs:
    type: {id: array, subtype: integer}
    description: d
    display_name: X
    optional: true
"""
DESCRIBED = descriptors.read(
    DESCRIPTOR.split("inputs:")[0].encode() + INPUTS.encode() + b"outputs: {}\n", "d"
)


def task_inputs(tmp_path: Path) -> TaskInputs:
    return TaskInputs(TaskStore(tmp_path), Settings(home=tmp_path))


def read(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> list[Row]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(TableRows(path).rows(DESCRIBED))


def problem_of(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> str:
    """Return the only problem of a table."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        found = check_rows(TableRows(path), Request(tmp_path), DESCRIBED, task_inputs(tmp_path)).problems
    except InputsError as error:
        found = list(error.problems)
    assert len(found) == 1, found
    return str(found[0]).removeprefix(f"{tmp_path}/")


def test_a_cell_is_parsed_like_a_value_of_the_command_line(tmp_path: Path) -> None:
    (row,) = read(tmp_path, 'a,text,xs,file\n3,"x, ""y""","[1, 2]",@sub/f.txt\n')
    expected = {"a": 3, "text": 'x, "y"', "xs": [1, 2], "file": FileValue(tmp_path / "sub/f.txt")}
    assert row.values == expected
    assert (row.number, row.line, row.id, row.problems) == (1, 2, "", ())


def test_an_empty_cell_and_null_mean_the_default(tmp_path: Path) -> None:
    assert [row.values for row in read(tmp_path, "a,text\n3,\n,x\n")] == [{"a": 3}, {"text": "x"}]
    assert [row.values for row in read(tmp_path, '{"a": 3, "text": null}\n', "t.jsonl")] == [{"a": 3}]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_and_line_ends_of_windows_do_not_matter(
    tmp_path: Path, bom: bytes, newline: str
) -> None:
    assert [row.values for row in read(tmp_path, bom + f"a,text{newline}3,é{newline}".encode())] == [
        {"a": 3, "text": "é"}
    ]
    line = bom + json.dumps({"a": 3}).encode() + newline.encode()
    assert [row.values for row in read(tmp_path, line, "t.jsonl")] == [{"a": 3}]


def test_blank_lines_are_not_rows(tmp_path: Path) -> None:
    rows = read(tmp_path, "a\n1\n\n2\n\n")
    assert [(row.number, row.line, row.values["a"]) for row in rows] == [(1, 2, 1), (2, 4, 2)]
    rows = read(tmp_path, '{"a": 1}\n\n{"a": 2}\n', "t.jsonl")
    assert [(row.number, row.line, row.values["a"]) for row in rows] == [(1, 1, 1), (2, 3, 2)]


def test_a_cell_with_line_breaks_keeps_them_and_the_line_numbers(tmp_path: Path) -> None:
    rows = read(tmp_path, 'a,text\n1,"x\ny"\n2,z\n')
    assert [(row.line, row.values["text"]) for row in rows] == [(2, "x\ny"), (4, "z")]


def test_the_column_id_names_the_row(tmp_path: Path) -> None:
    assert [(row.id, row.values) for row in read(tmp_path, "id,a\nfirst,1\n,2\n")] == [
        ("first", {"a": 1}),
        ("", {"a": 2}),
    ]
    assert [row.id for row in read(tmp_path, '{"id": "x", "a": 1}\n{"id": 7, "a": 1}\n', "t.jsonl")] == [
        "x",
        "7",
    ]
    assert [row.id for row in read(tmp_path, '{"id": null, "a": 1}\n{"id": "", "a": 1}\n', "t.jsonl")] == [
        "",
        "",
    ]


def test_json_lines_are_recognised_by_their_content(tmp_path: Path) -> None:
    assert [row.values for row in read(tmp_path, '{"a": 1}\n', "rows")] == [{"a": 1}]


def test_files_in_json_are_relative_to_the_table(tmp_path: Path) -> None:
    (row,) = read(tmp_path, '{"a": 1, "file": "@f.txt", "text": "@@x"}\n', "t.jsonl")
    assert row.values == {"a": 1, "file": FileValue(tmp_path / "f.txt"), "text": "@x"}


def test_a_table_separated_by_tabs_is_read(tmp_path: Path) -> None:
    assert [row.values for row in read(tmp_path, "a\ttext\n3\tx,y\n", "t.tsv")] == [{"a": 3, "text": "x,y"}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2\n", "t.csv:1 column 2: unknown column 'b'; expected one of: a, text, file, xs"),
        ("a,txt\n1,2\n", "t.csv:1 column 2: unknown column 'txt'; did you mean 'text'?"),
        ("a,a\n1,2\n", "t.csv:1 column 2: duplicate column 'a'; remove one of them"),
        ("a,\n1,2\n", "t.csv:1 column 2: the column has no name; name or remove it"),
        ("a;text\n1;2\n", "t.csv:1 column 1: the cells are separated by semicolons; use commas"),
        ("a,text\n1\n", "t.csv:2 row 1: expected 2 cells, found 1 cell: ['1']; add or remove cells"),
        (
            "a,text\n1,2,3\n",
            "t.csv:2 row 1: expected 2 cells, found 3 cells: ['1', '2', '3']; add or remove cells",
        ),
        (
            b"a,text\n1,caf\xe9\n",
            "t.csv:2 row 1, column text: 'caf\\xe9' is not UTF-8; save the table as UTF-8",
        ),
        (b"a,t\xe9xt\n1,x\n", "t.csv:1 column 2: 't\\xe9xt' is not UTF-8; save the table as UTF-8"),
        (b"a,text\n1,x\0y\n", "t.csv:2 row 1, column text: 'x\\x00y' contains a NUL character; remove it"),
        ("a,text\n1,x\n".encode("utf-16"), "t.csv: the table is UTF-16 text; export it as CSV in UTF-8"),
        (b"PK\x03\x04....", "t.csv: the table is a spreadsheet or a zip; export it as CSV in UTF-8"),
        (b"PAR1\x15....", "t.csv: the table is a Parquet file; export it as CSV in UTF-8"),
        ("a\r1\r", "t.csv:1: invalid CSV: a carriage return outside of quotes; end lines with LF or CRLF"),
        ("", "t.csv: the table is empty; start it with a line of column names"),
        ("\n\n", "t.csv: the table is empty; start it with a line of column names"),
        ("a,text\n", "t.csv: the table has no rows; add a line for each task"),
        (
            'a,text\n1,"x\n',
            "t.csv:2: invalid CSV: unexpected end of data; put each cell with a quote, a comma",
        ),
        ("a\nx\n", "t.csv:2 row 1, column a: invalid integer 'x'; expected e.g. 42"),
        ('a,xs\n1,"[1,"\n', "t.csv:2 row 1, column xs: invalid JSON list '[1,'"),
    ],
)
def test_a_csv_that_is_rejected_names_the_place_the_value_and_the_remedy(
    tmp_path: Path, content: str | bytes, expected: str
) -> None:
    assert problem_of(tmp_path, content).startswith(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1, 2]\n", "t.jsonl:1 row 1: expected a JSON object, found [1, 2]; write e.g."),
        ('{"a": 1}\n7\n', "t.jsonl:2 row 2: expected a JSON object, found 7"),
        ('{"a": }\n', "t.jsonl:1:7 row 1: invalid JSON: Expecting value; write one JSON object per line"),
        (b'{"text": "\xe9"}\n', "t.jsonl:1:11 row 1: byte 0xe9 is not UTF-8; save the table as UTF-8"),
        ('{"a": 1, "a": 2}\n', "t.jsonl:1 row 1, column a: duplicate key 'a'; remove one of them"),
        (
            '{"a": 1, "b": 2}\n',
            "t.jsonl:1 row 1, column b: unknown input 'b'; expected one of: a, text, file, xs",
        ),
        ('{"id": [1], "a": 1}\n', "t.jsonl:1 row 1, column id: invalid id [1]; use a string"),
        ('{"id": true, "a": 1}\n', "t.jsonl:1 row 1, column id: invalid id true; use a string"),
        (
            '{"text": "x\\u0000"}\n',
            "t.jsonl:1 row 1, column text: 'x\\x00' contains a NUL character; remove it",
        ),
        ("", "t.jsonl: the table has no rows; add a line for each task"),
        ("[" * 100_000 + "\n", "t.jsonl:1 row 1: invalid JSON: nested too deeply; correct it"),
    ],
)
def test_json_lines_that_are_rejected_name_the_place_the_value_and_the_remedy(
    tmp_path: Path, content: str | bytes, expected: str
) -> None:
    assert problem_of(tmp_path, content, "t.jsonl").startswith(expected)


def test_lines_that_are_not_json_are_all_reported_and_the_others_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": }\n7\n\n{"text": "\xe9"}\n{"a": "x"}\n{"a": 2}\n')
    found = check_rows(TableRows(path), Request(tmp_path), DESCRIBED, task_inputs(tmp_path))
    assert (found.total, sorted(found.invalid)) == (6, [2, 3, 4, 5])
    assert [problem.where.removeprefix(f"{tmp_path}/") for problem in found.problems] == [
        "t.jsonl:2:7 row 2",
        "t.jsonl:3 row 3",
        "t.jsonl:5:11 row 4",
        "t.jsonl:6 row 5, column a",
    ]


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_table_that_cannot_be_read_is_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputsError, match="cannot read") as caught:
        list(TableRows(tmp_path / name).rows(DESCRIBED))
    assert "cannot read the table" in caught.value.problems[0].message


def test_an_input_called_id_is_a_value_only(tmp_path: Path) -> None:
    text = INPUTS.replace("  a:", "  id:")
    described = descriptors.read(
        DESCRIPTOR.split("inputs:")[0].encode() + text.encode() + b"outputs: {}\n", "d"
    )
    (tmp_path / "t.csv").write_text("id\n../5\n7\n")
    rows = list(TableRows(tmp_path / "t.csv").rows(described))
    assert [(row.id, dict(row.values)) for row in rows] == [("", {}), ("", {"id": 7})]


def test_a_pipe_and_standard_input_are_read_more_than_once(tmp_path: Path) -> None:
    rows = TableRows(Path("-"), io.BytesIO(b"a\n1\n2\n"))
    assert rows.file == "<stdin>"
    assert [[row.values["a"] for row in rows.rows(DESCRIBED)] for _ in range(2)] == [[1, 2]] * 2
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"a\n3\n",))
    writer.start()
    rows = TableRows(pipe)
    writer.join()
    assert [[row.values["a"] for row in rows.rows(DESCRIBED)] for _ in range(2)] == [[3]] * 2


def test_the_rows_that_run_are_those_that_were_checked_whatever_becomes_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n2\n")
    table = TableRows(path)
    checked = list(table.rows(DESCRIBED))
    reading = table.rows(DESCRIBED)
    found = [next(reading)]
    with path.open("a") as stream:
        stream.write("3\nx\n")
    assert [*found, *reading] == checked
    path.unlink()
    assert list(table.rows(DESCRIBED)) == checked


def test_a_cell_may_be_larger_than_the_limit_of_the_csv_module(tmp_path: Path) -> None:
    (row,) = read(tmp_path, f"a,text\n1,{'x' * 300_000}\n")
    assert len(row.values["text"]) == 300_000
