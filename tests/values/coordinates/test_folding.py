"""Equal problems of many geometries become a few."""

from __future__ import annotations

import pytest

from localrun.errors import Problem
from localrun.values.coordinates.folding import fold_places, fold_problems, fold_warnings


def problem(path: str, message: str = "the polygon crosses itself at [1.5, 2e-05]") -> Problem:
    return Problem(path, message, "correct it")


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "a"), (2, "a and b"), (3, "a, b and c"), (4, "a, b, c and 1 more"), (15, "a, b, c and 12 more")],
)
def test_the_first_places_are_named_and_the_others_counted(count: int, text: str) -> None:
    assert fold_places(["a", "b", "c"][:count], count) == text


def test_few_equal_problems_stay_as_they_are() -> None:
    found = [problem(f"outputs.n.{number}") for number in range(4)]

    assert fold_problems(found, "outputs", ["n"]) == found


def test_messages_that_differ_in_numbers_only_are_equal() -> None:
    found = [
        problem(f"outputs.n.{number}.coordinates.0", f"crosses at [{number}, -1.5]") for number in range(9)
    ]
    other = problem("outputs.n.4", "is not closed")

    assert fold_problems([*found, other], "outputs", ["n"]) == [
        *found[:3],
        Problem("outputs.n", "n[3], n[4], n[5] and 3 more: the same problem as n[0]", "correct it"),
        other,
    ]


def test_nested_arrays_have_an_index_for_each_level() -> None:
    found = [problem(f"outputs.n.{number}.7") for number in range(5)]

    (*_, last) = fold_problems(found, "outputs", ["n"])

    assert last.message == "n[3][7] and n[4][7]: the same problem as n[0][7]"


def test_problems_of_other_parameters_are_not_folded() -> None:
    found = [problem(f"outputs.other.{number}") for number in range(9)] + [problem("outputs.n")] * 9

    assert fold_problems(found, "outputs", ["n"]) == found


def test_equal_warnings_of_items_are_folded_and_others_stay() -> None:
    items = [f"refused: inputs.n.{number}.1: too long by {number}" for number in range(6)]
    others = ["inputs.n: 3 duplicates", "descriptor.yml:1:2 inputs.n.type: odd"]

    assert fold_warnings([*items, *others, "inputs.n.9: other"], "inputs") == [
        *items[:3],
        "refused: inputs.n: n[3][1], n[4][1] and n[5][1]: the same as n[0][1]",
        *others,
        "inputs.n.9: other",
    ]
    assert fold_warnings(items[:4], "inputs") == items[:4]
