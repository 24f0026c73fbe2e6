from __future__ import annotations

import pytest

from localrun.errors import (
    AdmissionError,
    BundleError,
    Cause,
    Fault,
    LocalrunError,
    Problem,
    fold,
    in_outputs,
)


def test_a_problem_reads_as_place_message_and_remedy() -> None:
    problem = Problem(
        "inputs.threshold.type", "unknown type 'integr'", "did you mean 'integer'?", "descriptor.yml", 14, 5
    )
    assert str(problem) == (
        "descriptor.yml:14:5 inputs.threshold.type: unknown type 'integr'; did you mean 'integer'?"
    )


def test_a_problem_leaves_out_what_it_does_not_know() -> None:
    assert str(Problem("inputs.a", "is missing")) == "inputs.a: is missing"
    assert Problem("inputs.a", "is missing").as_dict() == {"path": "inputs.a", "message": "is missing"}


def test_an_error_shows_its_remedy_and_every_problem() -> None:
    error = BundleError("2 problems", remedy="correct them", problems=[Problem("a", "x"), Problem("b", "y")])
    assert str(error) == "2 problems\n  hint: correct them\n  - a: x\n  - b: y"


def test_an_error_carries_its_cause_its_fault_and_its_facts() -> None:
    error = AdmissionError("too many", cause=Cause.CPU_UNAVAILABLE, asked=64)
    assert (error.cause, error.fault, error.facts) == (Cause.CPU_UNAVAILABLE, Fault.HOST, {"asked": 64})
    assert LocalrunError("oops").cause is Cause.INTERNAL


# -- repeated problems -------------------------------------------------------------------------------


def test_the_first_five_problems_of_a_kind_are_listed_and_the_others_counted() -> None:
    many = [Problem(f"outputs.xs/{at}", f"invalid integer '{at}.5'; expected e.g. 42") for at in range(3000)]
    other = Problem("outputs.mean", "missing")
    found = LocalrunError("x", problems=[*many[:3], other, *many[3:]]).problems
    assert [str(problem).partition(":")[0] for problem in found] == [
        *("outputs.xs/0", "outputs.xs/1", "outputs.xs/2", "outputs.mean", "outputs.xs/3", "outputs.xs/4"),
        "and 2,995 more like this",
    ]
    assert Problem.from_dict(found[-1].as_dict()) == found[-1]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("outputs.xs.{}", "invalid"),
        ("outputs.xs[{}][0]", "invalid"),
        ("inputs.images/{}/tile", "invalid"),
        ("outputs.x", "line {}: invalid '{}'"),
    ],
)
def test_items_and_values_are_of_one_kind(path: str, message: str) -> None:
    found = fold([Problem(path.format(at), message.format(at, at)) for at in range(7)])
    assert [str(problem) for problem in found[5:]] == ["and 2 more like this"]


def test_problems_of_different_names_are_all_listed() -> None:
    named = [Problem(f"inputs.p{at}", "missing") for at in range(20)]
    assert fold(named) == tuple(named)


def test_items_are_not_counted_as_outputs() -> None:
    items = [f"outputs.xs/{at}" for at in range(6)]
    assert in_outputs([*items, "outputs.mean"]) == " in 2 outputs"
    assert in_outputs([f"outputs.xs[{at}]" for at in range(6)]) == " in 1 output"
    assert in_outputs(items[:5]) == in_outputs([f"outputs.x{at}" for at in range(9)]) == ""
    assert in_outputs(["outputs.xs", "outputs.mean"]) == in_outputs(["failure.cause"]) == in_outputs([]) == ""
