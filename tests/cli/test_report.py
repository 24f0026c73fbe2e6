"""The display of errors."""

from __future__ import annotations

import pytest

from localrun.console.report import problem_lines
from localrun.errors import Problem
from tests.cli.command import Command


def shown(source: str, column: int) -> list[str]:
    problem = Problem("a.b", "is wrong", file="descriptor.yml", line=3, column=column, source=source)
    first, *rest = problem_lines(problem)
    assert first == f"  - descriptor.yml:3:{column} a.b: is wrong"
    return [line.removeprefix("      ") for line in rest]


def test_a_problem_without_a_line_is_one_line() -> None:
    assert list(problem_lines(Problem("a", "is wrong", "correct it"))) == ["  - a: is wrong; correct it"]


def test_the_line_is_shown_with_a_caret_below_the_place() -> None:
    assert shown("    type: integr", 5) == ["    type: integr", "    ^"]


def test_the_caret_stands_right_below_wide_letters_and_tabs() -> None:
    assert shown("日本:\tx", 5) == ["日本: x", "      ^"]
    assert shown("e\u0301: x", 5) == ["e\u0301: x", "   ^"]


def test_of_a_long_line_the_part_around_the_place_is_shown() -> None:
    text, caret = shown("a" * 500 + "HERE" + "b" * 500, 501)
    assert len(text) <= 100
    assert text[caret.index("^") :].startswith("HERE")


def test_a_line_cannot_steer_the_terminal() -> None:
    text, caret = shown("\x1b]0;title\x07x: y", 12)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text[caret.index("^")] == ":"


@pytest.mark.parametrize("command", [["run"], ["run", "--json"]])
def test_a_wrong_descriptor_is_shown_where_it_is_wrong(localrun: Command, command: list[str]) -> None:
    text = localrun.bundle.read_text().replace("a: {type: integer", "a: {type: integr")
    localrun.bundle.write_text(text)
    done = localrun(*command, str(localrun.bundle), "--image", "x")
    assert done.code == 3
    line = "        a: {type: integr, description: one, display_name: A}\n"
    assert line + " " * 12 + "^\n" in done.err
