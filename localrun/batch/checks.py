"""Checks of all rows before the first one runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from localrun.batch.names import RowNames
from localrun.batch.rows import Row, RowSource
from localrun.descriptor import Descriptor
from localrun.errors import InputsError, Problem, UsageError
from localrun.manager.provisioning import TaskInputs
from localrun.manager.request import Request
from localrun.task.store import LAST
from localrun.values.references import TaskOutput, parameter_of, references_in

_LAST = f"'{LAST}' would be a task of the batch itself"
_USE_ID = "use the id of a task"


class CheckedRows(msgspec.Struct):
    """What the check of all rows found: their number, the inputs that they set, and the invalid ones."""

    total: int = 0
    columns: dict[str, None] = msgspec.field(default_factory=dict)  # in the order of their appearance
    invalid: dict[int, str] = msgspec.field(default_factory=dict)  # why, by the row's number
    problems: list[Problem] = msgspec.field(default_factory=list)


def check_rows(
    source: RowSource,
    request: Request,
    descriptor: Descriptor,
    inputs: TaskInputs,
    tables: Collection[str] = (),
) -> CheckedRows:
    """Check every row as if it was submitted; `tables` are as in `RowNames`.

    Raises `InputsError` if the rows cannot be read.
    """
    found = CheckedRows()
    names = RowNames(tables)
    shared = {*request.values, *(pair.partition("=")[0] for pair in request.assignments)}
    of_all: dict[Problem, None] = {}  # those of inputs that all rows share
    for row in source.rows(descriptor):
        found.total += 1
        found.columns |= dict.fromkeys(map(str, row.values))
        problems = [*row.problems, *names.check(row), *_of_last(row.values)]
        if not any(problem.path == "" for problem in row.problems):  # the row could be read
            problems += _problems(row, request, descriptor, inputs)
        if problems:
            found.invalid[row.number] = _reason(problems)
            of_row = {str(name).partition(".")[0] for name in row.values}  # also of a region
            for problem in problems:
                if _column(problem) in shared - of_row:
                    of_all[problem] = None
                else:
                    found.problems.append(_placed(problem, row, source.file))
    for number, problem in names.check_numbers(found.total):
        found.invalid[number] = str(problem)
        found.problems.append(_placed(problem, Row(number, {}), source.file))
    found.problems[:0] = of_all
    return found


def _problems(row: Row, request: Request, descriptor: Descriptor, inputs: TaskInputs) -> tuple[Problem, ...]:
    try:
        inputs.check(row.request(request), descriptor)
    except InputsError as error:
        known = {_column(problem) for problem in row.problems}
        return tuple(problem for problem in error.problems if _column(problem) not in known)
    return ()


def _of_last(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each output of the newest task, which would be one of the batch."""
    for place, found in references_in(values).items():
        if isinstance(found, TaskOutput) and found.task == LAST:
            yield Problem(f"inputs.{parameter_of(place)}", _LAST, _USE_ID)


def _reason(problems: Sequence[Problem]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{_in_row(problems[0])}{more}"


def _in_row(problem: Problem) -> Problem:
    """Return a problem with its column; its path is `inputs.COLUMN` or empty."""
    column = problem.path.removeprefix("inputs.")
    return Problem(f"column {column}" if column else "", problem.message, problem.remedy)


def check_columns(columns: Collection[str], request: Request) -> None:
    """Raise `UsageError` if all rows share an input that the rows set, or one of the newest task."""
    for problem in _of_last(request.values):
        raise UsageError(f"{_column(problem)}: {problem.message}", remedy=problem.remedy)
    for pair in request.assignments:
        if f"@task:{LAST}/" in pair:
            raise UsageError(f"{pair.partition('=')[0]}: {_LAST}", remedy=_USE_ID)
    for name in dict.fromkeys(pair.partition("=")[0] for pair in request.assignments):
        if name in columns:
            message = f"{name} is set by -i and by the rows"
            raise UsageError(message, remedy=f"remove `-i {name}=...`, or its column or option")


def _column(problem: Problem) -> str:
    """Return the input of a problem; empty if it concerns the whole row."""
    return problem.path.removeprefix("inputs.").partition(".")[0]


def _placed(problem: Problem, row: Row, file: str) -> Problem:
    """Return a problem with its row, and the line of the table."""
    found = _in_row(problem)
    place = ", ".join(filter(None, (f"row {row.number}", found.path)))
    return Problem(place, found.message, found.remedy, problem.file or file, row.line, problem.column)
