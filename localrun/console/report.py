"""Error display: what failed, where, a hint and where to look next."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from localrun.console.display.sanitize import escape_control_chars, escape_lines
from localrun.console.streams import is_terminal, print_err
from localrun.errors import LocalrunError, Problem

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord

_SHOWN = 100  # characters of a source line
_AROUND = 60  # of them before the place that is meant, when the line is longer


def report_error(error: LocalrunError, environ: Mapping[str, str]) -> None:
    """Tell an error that ended the command."""
    _tell(_mark("error", environ), error.message, error.problems, error.remedy)


def report_task(record: TaskRecord, environ: Mapping[str, str]) -> None:
    """Tell why a task did not finish."""
    head = str(record.state) if record.cause in (None, record.state) else f"{record.state} ({record.cause})"
    problems = [Problem(**problem) for problem in record.problems]
    ran = any(step.name == "task" for step in record.steps)
    more = f"localrun {'logs' if ran else 'status'} {record.short_id}" if record.cause != "KILLED" else ""
    if record.replication is not None and more:  # each is a task of its own
        more = f"localrun {'outputs' if record.cause == 'NO_CONSENSUS' else 'logs'} {record.short_id}/1"
    _tell(_mark(head, environ), record.message, problems, record.remedy, more)


def _tell(head: str, message: str, problems: Iterable[Problem], remedy: str, more: str = "") -> None:
    print_err(f"{head}: " + escape_lines("\n".join(_lines(message, problems, remedy, more))))


def _lines(message: str, problems: Iterable[Problem], remedy: str, more: str) -> Iterator[str]:
    yield message
    for problem in problems:
        if problem.message != message:  # one that is all there is has been told
            yield from problem_lines(problem)
    if remedy:
        yield f"  hint: {remedy}"
    if more:
        yield f"  see also: {more}"


def problem_lines(problem: Problem) -> Iterator[str]:
    """A problem as an item of a list, with the line of the file that it is about and a caret below it."""
    yield f"  - {problem}".replace("\n", "\n      ")
    if problem.source.strip() and problem.column:
        yield from (f"      {line}" for line in _pointed(problem.source, problem.column))


def _pointed(source: str, column: int) -> tuple[str, str]:
    """A part of a line that fits on a terminal, and a caret below its `column` (from 1)."""
    start = 0 if column <= _SHOWN - _AROUND else column - _AROUND
    before, behind = source[start : column - 1], source[column - 1 : start + _SHOWN]
    shown = escape_control_chars(before.replace("\t", " "))
    return shown + escape_control_chars(behind.replace("\t", " ")), " " * sum(map(_width, shown)) + "^"


def _width(character: str) -> int:
    """The columns that a character takes on a terminal."""
    if character.isascii():
        return 1
    from unicodedata import combining, east_asian_width

    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def _mark(words: str, environ: Mapping[str, str]) -> str:
    if is_terminal(sys.stderr, environ) and not environ.get("NO_COLOR"):
        return f"\x1b[1;31m{words}\x1b[0m"
    return words
