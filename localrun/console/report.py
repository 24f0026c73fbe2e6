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

_EXCERPT = 100  # characters of a source line
_BEFORE = 60  # of these before the reported column, in a longer line


def report_error(error: LocalrunError, environ: Mapping[str, str]) -> None:
    _print(_highlight("error", environ), error.message, error.problems, error.remedy)


def report_task(record: TaskRecord, environ: Mapping[str, str]) -> None:
    head = str(record.state) if record.cause in (None, record.state) else f"{record.state} ({record.cause})"
    problems = [Problem.from_dict(problem) for problem in record.problems]
    ran = any(step.name == "task" for step in record.steps)
    more = f"localrun {'logs' if ran else 'status'} {record.short_id}" if record.cause != "KILLED" else ""
    if record.replication is not None and more:  # each replica has its own log
        more = f"localrun {'outputs' if record.cause == 'NO_CONSENSUS' else 'logs'} {record.short_id}/1"
    _print(_highlight(head, environ), record.message, problems, record.remedy, more)


def _print(head: str, message: str, problems: Iterable[Problem], remedy: str, more: str = "") -> None:
    print_err(f"{head}: " + escape_lines("\n".join(_lines(message, problems, remedy, more))))


def _lines(message: str, problems: Iterable[Problem], remedy: str, more: str) -> Iterator[str]:
    yield message
    for problem in problems:
        if problem.message != message:  # already printed
            yield from problem_lines(problem)
    if remedy:
        yield f"  hint: {remedy}"
    if more:
        yield f"  see also: {more}"


def problem_lines(problem: Problem) -> Iterator[str]:
    """Yield a problem as a list item, followed by its source line and a caret that marks the column."""
    yield f"  - {problem}".replace("\n", "\n      ")
    if problem.source.strip() and problem.column:
        yield from (f"      {line}" for line in _excerpt(problem.source, problem.column))


def _excerpt(source: str, column: int) -> tuple[str, str]:
    """Return the part of a line around `column` (from 1) that fits a terminal, and a caret below it."""
    start = 0 if column <= _EXCERPT - _BEFORE else column - _BEFORE
    before, after = source[start : column - 1], source[column - 1 : start + _EXCERPT]
    shown = escape_control_chars(before.replace("\t", " "))
    return shown + escape_control_chars(after.replace("\t", " ")), " " * sum(map(_width, shown)) + "^"


def _width(character: str) -> int:
    if character.isascii():
        return 1
    from unicodedata import combining, east_asian_width

    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def _highlight(text: str, environ: Mapping[str, str]) -> str:
    if is_terminal(sys.stderr, environ) and not environ.get("NO_COLOR"):
        return f"\x1b[1;31m{text}\x1b[0m"
    return text
