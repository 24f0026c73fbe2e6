"""Information on a test's tasks in its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from localrun.pytest_plugin import waits

if TYPE_CHECKING:
    from pathlib import Path

    from localrun.app import App
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

    _Found = tuple[TaskRecord, Workspace]

APP: pytest.StashKey[App] = pytest.StashKey()
FAILED: pytest.StashKey[bool] = pytest.StashKey()
UPDATED = "localrun.updated"  # property of updated expectations
_LOG, _EVENTS = 50, 100  # last lines
_BYTES = 64 * 1024  # at the end of the file that are searched for them
_WIDTH = 400  # characters of an event
_MESSAGE = 2000
_TASKS, _OTHERS = 6, 200  # tasks per test that are shown in full, and by name only


def add_properties(item: pytest.Item) -> None:
    """Add the id and the result of each task as properties, which JUnit reports show."""
    for record, workspace in _tasks(item)[-_OTHERS:]:
        item.user_properties += [
            ("localrun.task", record.id),
            ("localrun.state", str(record.state)),
            *_result_properties(record),
            *waits.properties(record, workspace),
        ]


def _result_properties(record: TaskRecord) -> Iterator[tuple[str, Any]]:
    if record.cause:
        yield "localrun.cause", record.cause
        yield "localrun.message", _escape(record.message)[:_MESSAGE]
    if record.exit_code is not None:
        yield "localrun.exit_code", record.exit_code
    if record.ended is not None:
        yield "localrun.seconds", round(record.ended - record.created, 3)


def add_sections(item: pytest.Item, report: pytest.TestReport) -> None:
    """Add timeline, outputs, events and log of the tasks of a failed test."""
    tasks = _tasks(item)
    shown = _most_relevant(tasks)
    for record, workspace in shown:
        name = f"localrun task {record.short_id}"
        report.sections.append((f"{name}: {_status(record)}", _escape("\n".join(_facts(record, workspace)))))
        report.sections.append((f"{name}: events", _escape("\n".join(_events(workspace)))))
        log = _tail(workspace.log, _LOG)
        if log:
            report.sections.append((f"{name}: log", _escape(log)))
    others = [
        f"{record.short_id} {_status(record)}" for record, folder in tasks if (record, folder) not in shown
    ]
    if others:
        title = f"localrun: {len(others)} more tasks of this test"
        report.sections.append((title, "\n".join(others[-_OTHERS:])))


def _most_relevant(tasks: list[_Found]) -> list[_Found]:
    """Return the most relevant tasks: the last that did not finish, then the last others."""
    by_interest = sorted(tasks, key=lambda found: found[0].state != "FINISHED")
    chosen = by_interest[-_TASKS:]
    return [found for found in tasks if found in chosen]


def _status(record: TaskRecord) -> str:
    return f"{record.state} ({record.cause})" if record.cause else str(record.state)


def _tasks(item: pytest.Item) -> list[_Found]:
    app = item.stash.get(APP, None)
    if app is None:
        return []
    return [(record, app.store.open(record.id)) for record in reversed(app.tasks())]


def _facts(record: TaskRecord, workspace: Workspace) -> Iterator[str]:
    from localrun.console.results import output_lines
    from localrun.console.summary import summary
    from localrun.errors import Problem

    yield summary(record, workspace)
    for problem in record.problems:
        yield f"problem {Problem.from_dict(problem)}"
    for warning in record.warnings:
        yield f"warning {warning}"
    for line in output_lines(record.outputs, [workspace.outputs]):
        yield f"output {line}"
    yield f"folder {record.folder}"


def _events(workspace: Workspace) -> Iterator[str]:
    first = None
    for line in _tail(workspace.events, _EVENTS).splitlines():
        try:
            event = json.loads(line)
            when, kind, message, data = (event.get(key) for key in ("time", "kind", "message", "data"))
            first = first or when
            status = " ".join(str(data[key]) for key in ("state", "step", "status") if key in data)
            yield f"+{when - first:7.3f} s  {kind:<8} {message or status}"[:_WIDTH]
        except (ValueError, TypeError, AttributeError):  # an incomplete first line
            continue


def _tail(path: Path, lines: int) -> str:
    from localrun.api.tail import last_lines

    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _BYTES))
            return last_lines(stream.read(_BYTES).decode("utf-8", "replace"), lines)
    except OSError:
        return ""


def _escape(text: str) -> str:
    from localrun.console.display.sanitize import escape_lines

    return escape_lines(text.replace("\r\n", "\n"))


def updates(reporter: pytest.TerminalReporter) -> list[str]:
    """Return the updated expectations of this session, including those of xdist workers."""
    return [
        str(text)
        for report in reporter.getreports("passed")
        if getattr(report, "when", "") == "call"
        for name, text in report.user_properties
        if name == UPDATED
    ]
