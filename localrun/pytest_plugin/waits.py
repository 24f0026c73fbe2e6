"""How long tests waited: for processors, memory and other resources, and for the lock of an image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace

PREFIX = "localrun.waited."  # of the properties; their values are seconds
LOCK = "lock"
_SHORTEST = 0.05  # seconds of a wait that is reported
_BYTES = 1 << 20  # at the start of the events of a task that are read
_TESTS = 10  # in the summary


class Waits:
    """The waits for a lock that no report has yet."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def add_lock(self, seconds: float) -> None:
        self._seconds += seconds

    def move_to(self, item: pytest.Item) -> None:
        """Add them to the properties of a test."""
        if self._seconds >= _SHORTEST:
            item.user_properties.append((f"{PREFIX}{LOCK}", round(self._seconds, 3)))
        self._seconds = 0.0


WAITS: pytest.StashKey[Waits] = pytest.StashKey()


def properties(record: TaskRecord, workspace: Workspace) -> Iterator[tuple[str, Any]]:
    """Yield the waits of a task as properties: `localrun.waited.cpu` and the seconds."""
    found: Counter[str] = Counter()
    if record.timings.get("admission", 0.0) >= _SHORTEST:
        for reason, seconds in _admission(workspace):
            found[reason] += seconds  # type: ignore[assignment]  # a Counter adds floats too
    found[LOCK] += record.timings.get(LOCK, 0.0)  # type: ignore[assignment]
    for reason, seconds in found.items():
        if seconds >= _SHORTEST:
            yield f"{PREFIX}{reason}", round(seconds, 3)


def _admission(workspace: Workspace) -> Iterator[tuple[str, float]]:
    """Yield the reasons that a task could not start, with the seconds for which each applied."""
    reason, since = "", 0.0
    for event in _events(workspace):
        if reason:
            yield reason, event["time"] - since
        reason, since = _reason(event.get("data") or {}), event["time"]


def _reason(data: dict[str, Any]) -> str:
    if not data.get("waiting"):
        return ""
    lacking = [item["resource"] for item in data.get("insufficient", ())] or data.get("short", ())
    if lacking or LOCK in data:
        return "+".join(lacking) or LOCK
    return "host" if data.get("pressures") else "earlier tasks"


def _events(workspace: Workspace) -> Iterator[dict[str, Any]]:
    try:
        with workspace.events.open("rb") as stream:
            lines = stream.read(_BYTES).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # the incomplete last line
            continue
        if isinstance(event, dict) and isinstance(event.get("time"), (int, float)):
            yield event


def summary(reporter: pytest.TerminalReporter) -> list[str]:
    """Return the total of each reason, and the tests that waited longest; empty if none waited."""
    total: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for report in _final_reports(reporter):
        for name, seconds in report.user_properties:
            if name.startswith(PREFIX) and isinstance(seconds, (int, float)):
                total[name.removeprefix(PREFIX)] += seconds  # type: ignore[assignment]
                tests[report.nodeid] += seconds  # type: ignore[assignment]
    if not total:
        return []
    reasons = ", ".join(f"{seconds:.2f} s for {_noun(reason)}" for reason, seconds in total.most_common())
    lines = [f"tests waited {reasons}"]
    lines += [f"{seconds:8.2f} s  {nodeid}" for nodeid, seconds in tests.most_common(_TESTS)]
    if len(tests) > _TESTS:
        lines.append(f"and {len(tests) - _TESTS} more tests")
    return lines


def _noun(reason: str) -> str:
    nouns = {LOCK: "a lock", "cpu": "a processor", "gpu": "a GPU", "host": "the load of the host"}
    return " and ".join(nouns.get(one, one) for one in reason.split("+"))


def _final_reports(reporter: pytest.TerminalReporter) -> Iterator[pytest.TestReport]:
    """Yield the last report of each test, which has all its properties."""
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.when == "teardown":
                yield report
