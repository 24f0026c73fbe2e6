from __future__ import annotations

from localrun.errors import AdmissionError, BundleError, Cause, Fault, LocalrunError, Problem


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
