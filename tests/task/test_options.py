"""The options of a run, and that every entry point offers them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from localrun.api import submit
from localrun.cli.run import command
from localrun.errors import Problem, UsageError
from localrun.manager.payload import from_payload
from localrun.task.options import PARSERS, RunOptions, parse_options

# set by localrun itself, by iExec inputs, or on another way than by an option
OTHER_FIELDS = {"image", "command", "environment", "hostname", "detached", "callback", "bind_mounts"}
# of the build of an image, which have a module of their own; see `bundle/images/build_options.py`
BUILD_FIELDS = {"build_args", "dockerfile", "context", "target", "build_contexts", "build_secret_ids"}


def test_every_option_has_a_parser() -> None:
    # metadata is in a file of its own
    assert set(RunOptions.__struct_fields__) - OTHER_FIELDS - BUILD_FIELDS == set(PARSERS) - {"metadata"}


def test_python_offers_every_option() -> None:
    assert set(PARSERS) <= set(inspect.signature(submit).parameters)


def test_the_command_line_offers_every_option() -> None:
    assert set(PARSERS) <= {parameter.name for parameter in command.params}


def test_http_offers_every_option_except_pulling() -> None:
    with pytest.raises(UsageError) as caught:
        from_payload({"bundle": "b", "resources": dict.fromkeys(PARSERS), **dict.fromkeys(PARSERS)})
    unknown = {problem.path for problem in caught.value.problems if problem.message == "unknown field"}
    assert {name for name in PARSERS if {name, f"resources.{name}"} <= unknown} == {"pull"}


@pytest.mark.parametrize(
    ("name", "value", "parsed"),
    [
        ("timeout", "10m", 600.0),
        ("timeout", 90, 90.0),
        ("cpus", 2, 2.0),
        ("memory", "2Gi", 2 * 1024**3),
        ("memory", 1e9, 10**9),
        ("gpus", 0, 0),
        ("network", False, False),
        ("pull", "never", "never"),
        ("retries", 3, 3),
        ("profile", "iexec", "iexec"),
    ],
)
def test_a_valid_option_is_parsed(name: str, value: Any, parsed: Any) -> None:
    assert parse_options({name: value, "unknown": 1}, []) == {name: parsed}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("cpus", True, "expected a number above 0, found True"),
        ("cpus", "2", "expected a number above 0, found '2'"),
        ("memory", float("inf"), "expected a number above 0, found inf"),
        ("memory", "0", "expected at least 1 byte, found '0'"),
        ("memory", 0.5, "expected at least 1 byte, found 0.5"),
        ("gpus", -1, "expected an integer from 0 to 999, found -1"),
        ("replicas", 0, "expected an integer from 1 to 999, found 0"),
        ("hardened", 1, "expected true or false, found 1"),
        ("pull", "often", "expected one of never, missing, always, found 'often'"),
    ],
)
def test_an_invalid_option_is_a_problem(name: str, value: Any, message: str) -> None:
    problems: list[Problem] = []
    assert parse_options({name: value}, problems) == {}
    assert [(problem.path, problem.message) for problem in problems] == [(name, message)]
