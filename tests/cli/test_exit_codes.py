from __future__ import annotations

import pytest

from localrun.cli.exit_codes import MEANINGS, ExitCode, code_for_cause, code_for_error
from localrun.errors import AdmissionError, Cause, EngineUnreachable, Fault, InputsError, TaskNotFound


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_an_exit_code_that_is_no_success(cause: Cause) -> None:
    assert code_for_cause(cause) in MEANINGS
    assert code_for_cause(cause) is not ExitCode.FINISHED


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (None, 0),
        (Cause.EXIT_NONZERO, 1),
        (Cause.OUT_OF_MEMORY, 1),
        (Cause.OUTPUTS_INVALID, 1),
        (Cause.IMAGE_MISSING, 3),
        (Cause.INPUTS_INVALID, 3),
        (Cause.GPU_UNAVAILABLE, 4),
        (Cause.DISK_UNAVAILABLE, 4),
        (Cause.ENGINE_UNREACHABLE, 5),
        (Cause.RUNNER_TERMINATED, 5),
        (Cause.TIMEOUT, 124),
        (Cause.KILLED, 130),
    ],
)
def test_scripts_can_rely_on_the_numbers(cause: Cause | None, code: int) -> None:
    assert int(code_for_cause(cause)) == code


def test_what_is_the_tasks_fault_is_never_blamed_on_the_host() -> None:
    blamed = {cause for cause in Cause if code_for_cause(cause) is ExitCode.ENGINE_OR_HOST}
    assert {cause.fault for cause in blamed} == {Fault.HOST}


def test_a_wrong_call_is_told_apart_from_wrong_values() -> None:
    assert code_for_error(TaskNotFound("no such task")) is ExitCode.USAGE
    assert code_for_error(InputsError("wrong")) is ExitCode.BUNDLE_OR_VALUES
    assert code_for_error(AdmissionError("too much")) is ExitCode.RESOURCES
    assert code_for_error(EngineUnreachable("gone")) is ExitCode.ENGINE_OR_HOST


def test_every_exit_code_is_explained() -> None:
    assert set(MEANINGS) == set(ExitCode)
