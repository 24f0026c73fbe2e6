"""Hints for unknown inputs that resemble options."""

from __future__ import annotations

from pathlib import Path

import pytest

import localrun
from localrun.errors import InputsError, LocalrunError, Problem, UsageError
from localrun.manager.option_hints import option_hints
from tests.api.test_task import env_of, submit
from tests.support.server_client import serve_environment


def hinted(problem: Problem, *options: str) -> str:
    with pytest.raises(InputsError) as caught, option_hints(lambda: options):
        raise InputsError("invalid", problems=[problem])
    return caught.value.problems[0].remedy


@pytest.mark.parametrize(
    ("name", "remedy", "expected"),
    [
        ("timout", "expected one of: a, b", "did you mean the option 'timeout'?"),
        ("timeout", "expected one of: a, b", "did you mean the option 'timeout'?"),
        ("Time-Out", "", "did you mean the option 'timeout'?"),
        ("timeot", "did you mean 'time'?", "did you mean the input 'time' or the option 'timeout'?"),
        ("timeot", "did you mean 'timeot_s'?", "did you mean the input 'timeot_s' or the option 'timeout'?"),
        ("tim", "did you mean 'time'?", "did you mean 'time'?"),
        ("copy-inputs", "", "did you mean the option '--copy-inputs'?"),
        ("xyz", "expected one of: a, b", "expected one of: a, b"),
    ],
)
def test_an_unknown_input_that_resembles_an_option_names_it(name: str, remedy: str, expected: str) -> None:
    problem = Problem(f"inputs.{name}", f"unknown input {name!r}", remedy)
    assert hinted(problem, "timeout", "--copy-inputs") == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("row 1, column memry", "unknown input 'memry'"),
        ("column 2", "unknown column 'memry'"),
        ("memry", "unknown argument of an iExec app"),
    ],
)
def test_rows_of_batches_and_arguments_of_iexec_apps_get_the_hint_too(path: str, message: str) -> None:
    assert hinted(Problem(path, message, ""), "memory") == "did you mean the option 'memory'?"


def test_other_problems_stay_as_they_are() -> None:
    assert hinted(Problem("inputs.timeout", "expected an integer", "x"), "timeout") == "x"


@pytest.mark.parametrize(
    ("name", "option"), [("timout", "timeout"), ("image", "use_image"), ("cpu", "cpus"), ("input", "inputs")]
)
def test_python_names_the_parameter(tmp_path: Path, name: str, option: str) -> None:
    with env_of(tmp_path) as env, pytest.raises(InputsError) as caught:
        submit(env, **{name: 5})
    assert [str(problem) for problem in caught.value.problems] == [
        f"inputs.{name}: unknown input {name!r}; did you mean the option {option!r}?"
    ]


def test_a_rerun_names_the_parameter(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        task.wait()
        with pytest.raises(InputsError, match="did you mean the option 'timeout'"):
            task.rerun(timout=5)


def test_an_app_of_iexec_names_the_parameter() -> None:
    with pytest.raises(UsageError) as caught:
        localrun.submit("app", profile="iexec", timout=5)
    assert "did you mean the option 'timeout'?" in str(caught.value)


def test_http_names_the_field(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as served:
        task = served.bundle(a=1, b=2, timout=5)
        answer = served.client.post("/task", json={"task": task, "assigned_by": "x"})
    assert (answer.status_code, "did you mean the option 'timeout'?" in answer.text) == (422, True)


def test_errors_without_problems_pass() -> None:
    with pytest.raises(LocalrunError), option_hints(lambda: ["timeout"]):
        raise LocalrunError("x")
