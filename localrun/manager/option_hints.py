"""Hints for unknown inputs that are misspelt or misplaced options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from localrun.errors import LocalrunError, Problem
from localrun.suggestions import closest

_INPUT_HINT = re.compile(r"did you mean '(?P<input>.+)'\?")
# of iExec, whose path is the name, of `values.parsing`, and of the table of a batch
_UNKNOWN = re.compile(r"unknown (?:argument\b.*|(?:input|column) ['\"](?P<name>.*)['\"])", re.DOTALL)


@contextmanager
def option_hints(options: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Name the option that an unknown input resembles in the remedies of an error.

    `options` returns their names as the user writes them, such as `timeout` or `--timeout`.
    """
    try:
        yield
    except LocalrunError as error:
        if any(_UNKNOWN.fullmatch(problem.message) for problem in error.problems):
            names = {name.strip("-").replace("-", "_"): name for name in options()}
            error.problems = tuple(_with_hint(problem, names) for problem in error.problems)
        raise


def _with_hint(problem: Problem, names: dict[str, str]) -> Problem:
    unknown = _UNKNOWN.fullmatch(problem.message)
    if unknown is None:
        return problem
    given = (unknown["name"] or problem.path).replace("-", "_")
    found = closest(given, names)
    if found is None:
        return problem
    hint = _INPUT_HINT.fullmatch(problem.remedy)
    if hint is None:
        return replace(problem, remedy=f"did you mean the option {names[found]!r}?")
    if closest(given, [hint["input"], found]) != found:  # the input is more similar
        return problem
    remedy = f"did you mean the input {hint['input']!r} or the option {names[found]!r}?"
    return replace(problem, remedy=remedy)
