"""What a test's tasks did, in its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from localrun.app import App
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

    _Found = tuple[TaskRecord, Workspace]

APP: pytest.StashKey[App] = pytest.StashKey()
FAILED: pytest.StashKey[bool] = pytest.StashKey()
UPDATED = "localrun.updated"  # the property that holds what became the new expectation
_LOG, _EVENTS = 50, 100  # last lines
_BYTES = 64 * 1024  # in which these are looked for
_WIDTH = 400  # characters of an event
_MESSAGE = 2000
_TASKS, _OTHERS = 6, 200  # tasks of one test that are shown, and of the others that are named


def add_properties(item: pytest.Item) -> None:
    """For each task its id and how it ended, in the order of the tasks: junit shows them."""
    for record, _ in _tasks(item)[-_OTHERS:]:
        item.user_properties += [
            ("localrun.task", record.id),
            ("localrun.state", str(record.state)),
            *_end(record),
        ]


def _end(record: TaskRecord) -> Iterator[tuple[str, Any]]:
    if record.cause:
        yield "localrun.cause", record.cause
        yield "localrun.message", _harmless(record.message)[:_MESSAGE]
    if record.exit_code is not None:
        yield "localrun.exit_code", record.exit_code
    if record.ended_at is not None:
        yield "localrun.seconds", round(record.ended_at - record.created_at, 3)


def add_sections(item: pytest.Item, report: pytest.TestReport) -> None:
    """Of each task of a test that failed: where its time went, what it gave, what happened, its log."""
    every = _tasks(item)
    shown = _telling(every)
    for record, workspace in shown:
        name = f"localrun task {record.short_id}"
        report.sections.append((f"{name}: {_how(record)}", _harmless("\n".join(_facts(record, workspace)))))
        report.sections.append((f"{name}: events", _harmless("\n".join(_events(workspace)))))
        log = _tail(workspace.log, _LOG)
        if log:
            report.sections.append((f"{name}: log", _harmless(log)))
    others = [f"{record.short_id} {_how(record)}" for record, place in every if (record, place) not in shown]
    if others:
        title = f"localrun: {len(others)} more tasks of this test"
        report.sections.append((title, "\n".join(others[-_OTHERS:])))


def _telling(tasks: list[_Found]) -> list[_Found]:
    """Those that can tell most: the last that did not finish, and others as far as there is room."""
    by_interest = sorted(tasks, key=lambda found: found[0].state != "FINISHED")
    chosen = by_interest[-_TASKS:]
    return [found for found in tasks if found in chosen]


def _how(record: TaskRecord) -> str:
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
        yield f"problem {Problem(**problem)}"
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
            told = " ".join(str(data[key]) for key in ("state", "step", "status") if key in data)
            yield f"+{when - first:7.3f} s  {kind:<8} {message or told}"[:_WIDTH]
        except (ValueError, TypeError, AttributeError):  # a part of a line, where the reading began
            continue


def _tail(path: Path, lines: int) -> str:
    from localrun.api.tail import last_lines

    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _BYTES))
            return last_lines(stream.read(_BYTES).decode("utf-8", "replace"), lines)
    except OSError:
        return ""


def _harmless(text: str) -> str:
    from localrun.console.display.sanitize import escape_lines

    return escape_lines(text.replace("\r\n", "\n"))


def updates(reporter: pytest.TerminalReporter) -> list[str]:
    """What became the new expectation in this session, also in other processes."""
    return [
        str(text)
        for report in reporter.getreports("passed")
        if getattr(report, "when", "") == "call"
        for name, text in report.user_properties
        if name == UPDATED
    ]
