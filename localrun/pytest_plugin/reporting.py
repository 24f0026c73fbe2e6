"""What a test's tasks did, in its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.record import TaskRecord
    from localrun.workspace import Workspace

APP: pytest.StashKey[App] = pytest.StashKey()
FAILED: pytest.StashKey[bool] = pytest.StashKey()
UPDATED = "localrun.updated"  # the property that holds what became the new expectation
_LOG, _EVENTS = 50, 100  # last lines
_MESSAGE = 2000


def add_properties(item: pytest.Item) -> None:
    """For each task its id and how it ended, in the order of the tasks: junit shows them."""
    for record, _ in _tasks(item):
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
    if record.ended is not None:
        yield "localrun.seconds", round(record.ended - record.created, 3)


def add_sections(item: pytest.Item, report: pytest.TestReport) -> None:
    """Of each task of a test that failed: where its time went, what it gave, what happened, its log."""
    for record, workspace in _tasks(item):
        name = f"localrun task {record.id[:8]}"
        how = f"{record.state} ({record.cause})" if record.cause else str(record.state)
        report.sections.append((f"{name}: {how}", _harmless("\n".join(_facts(record, workspace)))))
        report.sections.append((f"{name}: events", _harmless("\n".join(_events(workspace)))))
        log = _tail(workspace.log, _LOG)
        if log:
            report.sections.append((f"{name}: log", _harmless(log)))


def _tasks(item: pytest.Item) -> list[tuple[TaskRecord, Workspace]]:
    app = item.stash.get(APP, None)
    if app is None:
        return []
    return [(record, app.home.open(record.id)) for record in reversed(app.tasks())]


def _facts(record: TaskRecord, workspace: Workspace) -> Iterator[str]:
    from localrun.cli.results import output_lines
    from localrun.errors import Problem
    from localrun.handle.summary import summary

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
            yield f"+{when - first:7.3f} s  {kind:<8} {message or told}"
        except (ValueError, TypeError, AttributeError):
            yield line


def _tail(path: Any, lines: int) -> str:
    from localrun.handle.tailing import last_lines

    try:
        return last_lines(path.read_text("utf-8", "replace"), lines)
    except OSError:
        return ""


def _harmless(text: str) -> str:
    from localrun.cli.display.lines import harmless_lines

    return harmless_lines(text.replace("\r\n", "\n"))


def updates(reporter: pytest.TerminalReporter) -> list[str]:
    """What became the new expectation in this session, also in other processes."""
    return [
        str(text)
        for report in reporter.getreports("passed")
        if getattr(report, "when", "") == "call"
        for name, text in report.user_properties
        if name == UPDATED
    ]
