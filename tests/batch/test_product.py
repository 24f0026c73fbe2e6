"""Rows of --over and --grid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from localrun.batch.product import ProductRows, grid, over
from localrun.errors import UsageError
from localrun.values import FileValue
from tests.batch.test_table import DESCRIBED


def test_over_and_grid_multiply_and_the_last_one_changes_fastest(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.csv"):
        (tmp_path / name).touch()
    rows = ProductRows([over(f"file=@{tmp_path}/*.txt"), grid("a=1,2")])
    assert len(rows) == 4
    assert [(row.number, row.values["file"], row.values["a"]) for row in rows.rows(DESCRIBED)] == [
        (1, FileValue(tmp_path / "a.txt"), 1),
        (2, FileValue(tmp_path / "a.txt"), 2),
        (3, FileValue(tmp_path / "b.txt"), 1),
        (4, FileValue(tmp_path / "b.txt"), 2),
    ]


def test_two_stars_find_files_in_all_folders(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "f.txt").touch()
    (tmp_path / "g.txt").touch()
    assert len(over(f"file=@{tmp_path}/**/*.txt")) == 2


def test_a_file_whose_name_looks_like_a_pattern_is_found(tmp_path: Path) -> None:
    (tmp_path / "[1].txt").touch()
    assert over(f"file=@{tmp_path}/[1].txt").texts == [f"@{tmp_path}/[1].txt"]


def test_a_grid_may_be_a_json_list(tmp_path: Path) -> None:
    values = [row.values for row in ProductRows([grid('text=["a,b", "c"]')]).rows(DESCRIBED)]
    assert values == [{"text": "a,b"}, {"text": "c"}]
    values = [row.values for row in ProductRows([grid("xs=[[1, 2], [3]]")]).rows(DESCRIBED)]
    assert values == [{"xs": [1, 2]}, {"xs": [3]}]


def test_an_invalid_value_is_a_problem_of_its_rows_only() -> None:
    rows = list(ProductRows([grid("a=1,x"), grid("text=u,v")]).rows(DESCRIBED))
    assert [bool(row.problems) for row in rows] == [False, False, True, True]
    assert rows[2].problems[0].path == "inputs.a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image=*.png", "'image=*.png' is not NAME=@PATTERN; use --grid for values"),
        ("@*.png", "'@*.png' is not NAME=@PATTERN; use --grid for values"),
        ("image=@none/*.png", "no file matches 'none/*.png'"),
        ("image=@https://host/a.png", 'URLs cannot be patterns; list them with --grid \'image=["URL"'),
        ("a=@task:1/x", "outputs of tasks cannot be patterns; list them with --grid a=@task:1/x,..."),
    ],
)
def test_an_invalid_pattern_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        over(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "'a' is not NAME=VALUE,VALUE"),
        ("a=", "'a=' is not NAME=VALUE,VALUE"),
        ("=1", "'=1' is not NAME=VALUE,VALUE"),
        ("a=1,,2", "'a=1,,2' has an empty value"),
        ("a=[]", "'a=[]' has no values"),
        ("a=[1,", "'[1,' is not a JSON list: Expecting value: line 1 column 4 (char 3)"),
    ],
)
def test_an_invalid_grid_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        grid(text)


def test_an_input_that_is_set_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="a is set by 2 of --over and --grid"):
        ProductRows([grid("a=1"), grid("a=2")])


def test_the_axes_of_a_large_product_are_not_multiplied_in_memory() -> None:
    axes = [grid(f"{name}={','.join(map(str, range(1000)))}") for name in ("a", "text")]
    rows = ProductRows(axes).rows(DESCRIBED)
    assert next(rows).number == 1
