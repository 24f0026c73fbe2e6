"""Each row of the table of deviations has a test that expects its `Warning` header."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from localrun.server.appengine.deviations import DEVIATIONS, deviate, warning_headers

FOLDER = Path(__file__).parent


def rows_with_a_test() -> set[object]:
    """Return the rows that a test in this folder passes to `assert_deviates`."""
    found: set[object] = set()
    for path in FOLDER.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "assert_deviates":
                found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found


def test_each_row_has_a_test() -> None:
    assert set(DEVIATIONS) - rows_with_a_test() == set()


@pytest.mark.parametrize("row", DEVIATIONS.values(), ids=list(DEVIATIONS))
def test_a_row_continues_a_sentence_and_fits_into_a_header(row: object) -> None:
    assert isinstance(row, tuple)
    _, kind, app_engine, here = row
    assert kind in ("bug", "difference", "safety")
    for text in (app_engine, here):
        assert text.isascii()
        assert text.isprintable()
        assert not text.endswith(".")


def test_a_response_warns_of_each_deviation_once() -> None:
    scope = {"type": "http"}
    for row in ("origin", "token", "origin"):
        deviate(scope, row)
    assert [value.decode().split(" ", 3)[:3] for _, value in warning_headers(scope)] == [
        ["299", "localrun", '"App'],
        ["299", "localrun", '"App'],
    ]
